"""The names of what a place on the screen can show, the shown one marked."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

_BETWEEN = "│"


class TabLine(Widget):
    """One line. A click asks for a tab; whoever hears of it decides."""

    DEFAULT_CSS = """
    TabLine { height: 1; width: auto; padding: 0 1; }
    """

    class Asked(Message):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = tuple(names)
        self._shown = 0

    @property
    def shown(self) -> int:
        return self._shown

    def show(self, number: int) -> None:
        if number != self._shown:
            self._shown = number
            self.refresh()

    def render(self) -> Content:
        return Content(_BETWEEN).join(
            Content.styled(f" {name} ", "bold reverse" if number == self._shown else "")
            for number, name in enumerate(self._names)
        )

    def on_click(self, event: events.Click) -> None:
        start = self.styles.padding.left
        for number, name in enumerate(self._names):
            end = start + len(name) + 2
            if start <= event.x < end:
                self.post_message(self.Asked(number))
                return
            start = end + len(_BETWEEN)
