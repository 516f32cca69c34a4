"""The command palette: Textual's own, without its emoji, which many terminals draw over two cells or not at all."""

from __future__ import annotations

from textual.command import CommandPalette, SearchIcon


class Palette(CommandPalette):
    DEFAULT_CSS = """
    Palette { background: transparent; }
    Palette SearchIcon { color: $text-accent; }
    """

    def __init__(self) -> None:
        super().__init__(placeholder="An action or a theme")

    def on_mount(self) -> None:
        self.query_one(SearchIcon).icon = ":"
