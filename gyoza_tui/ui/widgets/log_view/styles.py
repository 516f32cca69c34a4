"""The styles of a log, as the theme has them."""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.style import Style
from textual.widget import Widget

_NAMES: Final = ("time", "mark", "report", "error", "cursor", "match", "here", "bar", "thumb")
CLASSES: Final = frozenset(f"log--{name}" for name in _NAMES)


class Styles(NamedTuple):
    base: Style
    partial: dict[str, Style]
    """By name; they only say what differs."""
    ground: dict[str, Style]
    """By name: its background as it looks on ours."""
    selection: Style


def styles_of(widget: Widget) -> Styles:
    """Of a widget that has those classes, and stands on a screen."""
    partial = {name: widget.get_component_rich_style(f"log--{name}", partial=True) for name in _NAMES}
    looks = {name: widget.get_component_rich_style(f"log--{name}") for name in _NAMES}
    ground = {name: Style(bgcolor=look.bgcolor) for name, look in looks.items()}
    return Styles(widget.rich_style, partial, ground, widget.screen.get_component_rich_style("screen--selection"))
