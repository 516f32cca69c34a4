"""Lines on a terminal that are painted over the former ones."""

from __future__ import annotations

import shutil
import sys

from gyoza_tui.models.text import visible

_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"


class Picture:
    """Lines that are painted over the former ones, in one write: nothing is ever blank between two pictures."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = shutil.get_terminal_size()

    def show(self, lines: list[str]) -> None:
        size = shutil.get_terminal_size()
        # after a resize the lines already printed may take another number of rows
        begin = "\x1b[H\x1b[2J" if size != self._size else f"\x1b[{len(self._lines)}F" if self._lines else ""
        self._lines, self._size = lines, size
        sys.stdout.write(_NO_WRAP + begin + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J" + _WRAP)
        sys.stdout.flush()

    def word(self, text: str) -> None:
        """Below what is shown."""
        self.show([line for line in self._lines if line] + ["", visible(text)[: self._size.columns - 1]])
