"""The line that begins a section: what it is called and what is to be said of it."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import events
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widget import Widget

_LEAST_TITLE: Final = 12
_INDENT: Final = 3
_THIN: Final = "─"
_THICK: Final = "━"


class Rule(Widget):
    """`── title ──── right ──`, in the accent colour when its section has the focus (gyoza.tcss).

    Text without a colour of its own has the rule's: that is how a section's name shows the focus.
    """

    DEFAULT_CSS = """
    Rule {
        height: 1;
        text-wrap: nowrap;
        & > .rule--line { color: $foreground 30%; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rule--line"}

    class Clicked(Message):
        def __init__(self, rule: Rule, cell: int) -> None:
            super().__init__()
            self.rule = rule
            self.cell = cell
            """Of the title, from 0; anything else is beside it."""

    def __init__(self, title: str | Content = "", *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._title = Content(title) if isinstance(title, str) else title
        self._right = Content()

    def update(self, title: Content, right: Content | None = None) -> None:
        right = right or Content()
        if not (title.is_same(self._title) and right.is_same(self._right)):
            self._title, self._right = title, right
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        self.post_message(self.Clicked(self, event.x - _INDENT))

    def render(self) -> Content:
        return ruled(self._title, self._right, self.size.width, self._dash(), self.get_visual_style("rule--line"))

    def _dash(self) -> str:
        """Where there are no colours the focus is told by the line itself."""
        section = self.parent
        focused = section is not None and section.has_pseudo_class("focus-within")
        return _THICK if focused and self.app.no_color else _THIN


def ruled(title: Content, right: Content, width: int, dash: str, style: Style) -> Content:
    """Exactly `width` cells. What is on the right goes before the title is cut."""
    begin = Content.assemble((dash * 2, style), " ")
    ending = _ending(right, dash, style)
    room = width - begin.cell_length - 1
    if room - ending.cell_length < min(title.cell_length, _LEAST_TITLE):
        ending = _ending(Content(), dash, style)
    title = title.truncate(max(0, room - ending.cell_length), ellipsis=True)
    fill = max(0, room - title.cell_length - ending.cell_length)
    return Content.assemble(begin, title, " ", (dash * fill, style), ending).truncate(width, pad=True)


def _ending(right: Content, dash: str, style: Style) -> Content:
    end = Content.styled(dash * 2, style)
    return Content.assemble(" ", right, " ", end) if right else end
