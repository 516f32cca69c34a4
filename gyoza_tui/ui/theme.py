"""Our colours. Grey and one blue; green, amber and red are kept for what somebody should look at.

Each differs from its background in 16 colours too: ssh seldom forwards COLORTERM.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.terminal_theme import TerminalTheme
from textual.app import App
from textual.color import Color
from textual.theme import Theme

from gyoza_tui.ui import theme_file

DEFAULT: Final = "gyoza-dark"


class _Palette(NamedTuple):
    background: str
    surface: str
    panel: str
    foreground: str
    muted: str
    faint: str
    primary: str
    """Of meters."""
    track: str
    """Of the part of a meter that is empty."""
    accent: str
    """Of what has the focus."""
    success: str
    warning: str
    error: str
    cursor: str
    """Behind the row of the cursor."""

    def theme(self, name: str, *, dark: bool) -> Theme:
        return Theme(
            name=name,
            dark=dark,
            primary=self.primary,
            secondary=self.accent,
            accent=self.accent,
            success=self.success,
            warning=self.warning,
            error=self.error,
            foreground=self.foreground,
            background=self.background,
            surface=self.surface,
            panel=self.panel,
            variables=self._variables(),
        )

    def _variables(self) -> dict[str, str]:
        return {
            "text": self.foreground,
            "text-muted": self.muted,
            "text-disabled": self.faint,
            "text-primary": self.primary,
            "text-secondary": self.accent,
            "text-accent": self.accent,
            "text-success": self.success,
            "text-warning": self.warning,
            "text-error": self.error,
            "primary-muted": self.track,
            "border": self.accent,
            "border-blurred": self.faint,
            "block-cursor-background": self.accent,
            "block-cursor-foreground": self.background,
            "block-cursor-blurred-background": self.cursor,
            "block-cursor-blurred-foreground": self.foreground,
            "input-selection-background": self.track,
            "scrollbar": self.faint,
            "scrollbar-hover": self.muted,
            "scrollbar-active": self.accent,
            "scrollbar-background": self.background,
            "scrollbar-background-hover": self.background,
            "scrollbar-background-active": self.background,
            "scrollbar-corner-color": self.background,
        }


_DARK: Final = _Palette(
    background="#0e1116",
    surface="#151a21",
    panel="#1b222b",
    foreground="#d5dae1",
    muted="#8d96a3",
    faint="#5d6673",
    primary="#3d83b8",
    track="#26384a",
    accent="#7cc4ff",
    success="#56c57f",
    warning="#e3b341",
    error="#f4656d",
    cursor="#1e2a38",
)
_LIGHT: Final = _Palette(
    background="#fbfcfd",
    surface="#f1f3f6",
    panel="#e7ebf0",
    foreground="#1d232b",
    muted="#5b6673",
    faint="#8c96a2",
    primary="#1b6fc2",
    track="#cfe0f1",
    accent="#0b57b8",
    success="#0a7d1e",
    warning="#8f5e00",
    error="#c4202c",
    cursor="#dbe8f6",
)
_CONTRAST: Final = _Palette(
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    foreground="#ffffff",
    muted="#d0d0d0",
    faint="#a0a0a0",
    primary="#00d7ff",
    track="#4e4e4e",
    accent="#ff87ff",
    success="#00ff5f",
    warning="#ffd700",
    error="#ff6060",
    cursor="#00005f",
)

_DARK_256: Final = _DARK._replace(surface="#1c1c1c", panel="#262626", track="#3a3a3a", cursor="#303030")
_LIGHT_256: Final = _LIGHT._replace(surface="#f7f7f7", panel="#e4e4e4", track="#c8c8c8", cursor="#dadada")
"""Where the nearest to a faint blue is teal, navy or lavender."""
_DARK_16: Final = _DARK_256._replace(cursor=_DARK.background, faint=_DARK.muted)
_LIGHT_16: Final = _LIGHT_256._replace(
    cursor=_LIGHT.background, faint=_LIGHT.muted, primary="#0000aa", warning="#aa00aa"
)
_CONTRAST_16: Final = _CONTRAST._replace(cursor=_CONTRAST.background)
"""Where nothing can be read on the one grey there is for a row, and neither yellow nor cyan on white."""


def _ours(dark: _Palette, light: _Palette, contrast: _Palette) -> tuple[Theme, ...]:
    return (
        dark.theme(DEFAULT, dark=True),
        light.theme("gyoza-light", dark=False),
        contrast.theme("gyoza-contrast", dark=True),
    )


THEMES: Final = _ours(_DARK, _LIGHT, _CONTRAST)
"""Textual's own stay available in addition to them."""
THEMES_OF_256: Final = _ours(_DARK_256, _LIGHT_256, _CONTRAST)
THEMES_OF_16: Final = _ours(_DARK_16, _LIGHT_16, _CONTRAST_16)
"""The same in the shades of a terminal with so many colours."""
_SHADES: Final = {"truecolor": THEMES, "256": THEMES_OF_256}


def _ansi(ground: _Palette, normal: str, bright: str) -> TerminalTheme:
    def colours(text: str) -> list[tuple[int, int, int]]:
        return [Color.parse(each).rgb for each in text.split()]

    background, foreground = colours(f"{ground.background} {ground.foreground}")
    return TerminalTheme(background, foreground, colours(normal), colours(bright))


ANSI_ON_DARK: Final = _ansi(
    _DARK,
    "#1b222b #f4656d #56c57f #e3b341 #5c8dff #d670d6 #3fb8cf #c9d1d9",
    "#8d96a3 #ff7b82 #6ff08f #f5d76e #7090ff #f08cf0 #7fe3f2 #ffffff",
)
ANSI_ON_LIGHT: Final = _ansi(
    _LIGHT,
    "#000000 #b01822 #0a7d1e #8a5a00 #0b4fd0 #a020a0 #00707f #5b6673",
    "#5b6673 #d0202c #00802a #936300 #2a5fe0 #b41fb4 #007582 #1d232b",
)
"""What the colours that a log names look like: all can be read as text, but for black on dark."""


def dress(app: App[Any], theme: str | None, chosen_before: Path | None = None) -> None:
    """Register our themes, as the terminal's colours allow, and apply `theme`, or the one that was chosen, or ours.

    Raises InvalidThemeError.
    """
    app.ansi_theme_dark, app.ansi_theme_light = ANSI_ON_DARK, ANSI_ON_LIGHT
    for ours in _SHADES.get(app.console.color_system or "", THEMES_OF_16):
        app.register_theme(ours)
    app.theme = theme or theme_file.kept(chosen_before, app.available_themes) or DEFAULT
