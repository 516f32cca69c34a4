"""What a terminal sends, as Textual's messages, whatever it sends."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator

from textual.message import Message

from gyoza_tui.ui.tty.textual_internals import KeyParser


class TerminalInput:
    """Drops what Textual's parser cannot bear, as `ESC[100:68;2;68u`, and begins with a new parser after it."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._parser = KeyParser()

    @property
    def undecided(self) -> bool:
        """Whether an escape has come that may be a key, or begin a sequence: `tick` decides when it was a key."""
        return self._parser.undecided

    def feed(self, data: bytes) -> Iterator[Message]:
        for character in self._decode(data):
            yield from self._borne(self._parser.feed(character))

    def tick(self) -> Iterator[Message]:
        yield from self._borne(self._parser.tick())

    def _borne(self, messages: Iterable[Message]) -> Iterator[Message]:
        try:
            yield from messages
        except Exception:
            self._parser = self._parser.successor()
