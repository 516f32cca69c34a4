"""A few lines that somebody else composes: only those that differ are painted again."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget


class Lines(Widget):
    """As high as it has lines, and not there without any; what is too wide is cut."""

    DEFAULT_CSS = """
    Lines { height: auto; text-wrap: nowrap; text-overflow: clip; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: tuple[Content, ...] = ()

    @property
    def lines(self) -> tuple[Content, ...]:
        return self._lines

    def show_lines(self, lines: Sequence[Content]) -> None:
        old, self._lines = self._lines, tuple(lines)
        self.display = bool(self._lines)
        if len(old) != len(self._lines):
            self.refresh(layout=True)
            return
        for y, (before, now) in enumerate(zip(old, self._lines, strict=True)):
            if not before.is_same(now):
                self.refresh(Region(0, y, self.size.width, 1))

    def render(self) -> Content:
        return Content("\n").join(self._lines)
