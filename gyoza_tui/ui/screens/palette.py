"""The command palette: Textual's own, without its emoji, which many terminals draw over two cells or not at all."""

from __future__ import annotations

from textual.command import CommandList, CommandPalette, SearchIcon


class Palette(CommandPalette):
    DEFAULT_CSS = """
    Palette { background: transparent; }
    Palette SearchIcon { color: $text-accent; }
    Palette CommandList > .option-list--option-highlighted { background: $primary-muted; }
    """

    def __init__(self) -> None:
        super().__init__(placeholder="An action or a theme")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No paging in a list that has no height yet: Textual's fails at it."""
        return action != "command_list" or any(commands.size.height for commands in self.query(CommandList))

    def on_mount(self) -> None:
        self.query_one(SearchIcon).icon = ":"
