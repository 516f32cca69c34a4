"""Every colour is told from what it stands on, in 16 and 256 colours too."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Literal

import pytest
from rich.color import Color, ColorSystem
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from textual.color import Color as TextualColor
from textual.theme import Theme

from gyoza_tui.ui import theme_file
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.theme import ANSI_ON_DARK, ANSI_ON_LIGHT, DEFAULT, THEMES, THEMES_OF_16, THEMES_OF_256, dress
from tests.ui.main.scene import busy_control
from tests.ui.main.stage import stage
from tests.ui.still_clock import StillClock

TEXT = ("foreground", "text-muted", "text-success", "text-warning", "text-error", "text-accent", "primary")
OF_XTERM = "#000 #cd0000 #00cd00 #cdcd00 #00e #cd00cd #00cdcd #e5e5e5 #7f7f7f #f00 #0f0 #ff0 #5c5cff #f0f #0ff #fff"
OF_VGA = "#000 #a00 #0a0 #a50 #00a #a0a #0aa #aaa #555 #f55 #5f5 #ff5 #55f #f5f #5ff #fff"


@pytest.mark.parametrize(
    ("theme", "system"),
    [
        *((theme, ColorSystem.STANDARD) for theme in THEMES_OF_16),
        *((theme, ColorSystem.EIGHT_BIT) for theme in THEMES_OF_256),
    ],
    ids=lambda each: each.name,
)
def test_no_text_has_the_colour_of_what_it_stands_on(theme: Theme, system: ColorSystem) -> None:
    variables = theme.to_color_system().generate() | theme.variables

    def shown(name: str) -> Color:
        return TextualColor.parse(variables[name]).rich_color.downgrade(system)

    for name in TEXT:
        assert shown(name) != shown("background"), name
    for name in ("foreground", "text-muted", "text-error", "text-warning"):
        assert shown(name) != shown("block-cursor-blurred-background"), name
    assert len({str(shown(name)) for name in ("text-success", "text-warning", "text-error", "text-accent")}) == 4


@pytest.mark.parametrize("theme", THEMES_OF_256, ids=lambda theme: theme.name)
def test_in_256_colours_a_shade_keeps_its_hue(theme: Theme) -> None:
    variables = theme.to_color_system().generate() | theme.variables
    for name in ("background", "surface", "panel", "primary-muted", "block-cursor-blurred-background"):
        chosen = TextualColor.parse(variables[name])
        shown = chosen.rich_color.downgrade(ColorSystem.EIGHT_BIT).get_truecolor()
        assert all(abs(one - other) <= 24 for one, other in zip(chosen.rgb, shown, strict=True)), (name, shown.hex)


@pytest.mark.parametrize(
    ("system", "themes"), [("truecolor", THEMES), ("256", THEMES_OF_256), ("standard", THEMES_OF_16)]
)
def test_the_terminal_decides_between_the_shades(
    system: Literal["truecolor", "256", "standard"], themes: tuple[Theme, ...]
) -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            shown.app.console = Console(color_system=system, force_terminal=True, file=StringIO())
            dress(shown.app, None)
            assert shown.app.current_theme == themes[0]

    asyncio.run(look())


@pytest.mark.parametrize("theme", THEMES_OF_16, ids=lambda theme: theme.name)
def test_in_16_colours_good_is_green_and_bad_is_red(theme: Theme) -> None:
    assert [number_in_16(theme.success or "") % 8, number_in_16(theme.error or "") % 8] == [2, 1]


def number_in_16(colour: str) -> int:
    number = TextualColor.parse(colour).rich_color.downgrade(ColorSystem.STANDARD).number
    assert number is not None
    return number


@pytest.mark.parametrize("terminal", [OF_XTERM, OF_VGA], ids=["xterm", "vga"])
@pytest.mark.parametrize("theme", THEMES_OF_16, ids=lambda theme: theme.name)
def test_in_16_colours_text_can_be_read_as_terminals_have_them(theme: Theme, terminal: str) -> None:
    variables = theme.to_color_system().generate() | theme.variables
    seen = [TextualColor.parse(colour) for colour in terminal.split()]

    def ratio(name: str, ground: str) -> float:
        return contrast(*(seen[number_in_16(variables[each])] for each in (name, ground)))

    for name in ("foreground", "text-muted", "text-warning", "text-error", "text-accent", "text-disabled"):
        assert ratio(name, "background") >= 4, name
        assert ratio(name, "block-cursor-blurred-background") >= 4, name
    assert ratio("foreground", "primary-muted") >= 4, "the palette's chosen line"
    assert ratio("primary-muted", "background") > 1, "is seen"


def contrast(one: TextualColor, other: TextualColor) -> float:
    """As WCAG 2 counts it: 4.5 can be read, 7 can be read by nearly everybody."""

    def luminance(color: TextualColor) -> float:
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_can_be_read(theme: Theme) -> None:
    variables = theme.to_color_system().generate() | theme.variables
    background = TextualColor.parse(variables["background"])
    for name in ("foreground", "text-muted", "text-success", "text-warning", "text-error", "text-accent"):
        ratio = contrast(TextualColor.parse(variables[name]), background)
        assert ratio >= (7 if theme.name == "gyoza-contrast" else 4.5), (name, ratio)


@pytest.mark.parametrize(
    ("named", "worn", "unreadable"),
    [(ANSI_ON_DARK, THEMES[0], {0}), (ANSI_ON_DARK, THEMES[2], {0}), (ANSI_ON_LIGHT, THEMES[1], set())],
    ids=["dark", "contrast", "light"],
)
def test_the_colours_that_a_log_names_can_be_read(named: TerminalTheme, worn: Theme, unreadable: set[int]) -> None:
    background = TextualColor.parse(worn.background or "")
    for number in set(range(16)) - unreadable:
        ratio = contrast(TextualColor(*named.ansi_colors[number]), background)
        assert ratio >= 4.5, (number, ratio)


@pytest.mark.parametrize("named", [ANSI_ON_DARK, ANSI_ON_LIGHT], ids=["dark", "light"])
def test_the_colours_that_a_log_names_keep_their_hue_in_16_colours(named: TerminalTheme) -> None:
    for number in (*range(1, 7), *range(9, 15)):
        assert number_in_16(TextualColor(*named.ansi_colors[number]).hex) % 8 == number % 8, number


def test_our_themes_and_textuals_can_be_worn() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            assert shown.app.theme == DEFAULT
            before = shown.text()
            ansi = [name for name, theme in shown.app.available_themes.items() if theme.ansi]
            for name in (*(theme.name for theme in THEMES), "textual-light", *ansi):
                shown.app.theme = name
                await shown.tick()
                assert shown.text() == before

    asyncio.run(look())


def test_a_theme_is_chosen_by_the_options() -> None:
    async def look() -> None:
        async with stage(busy_control(), options=UiOptions(clock=StillClock(), theme="gyoza-light")) as shown:
            assert shown.app.theme == "gyoza-light"

    asyncio.run(look())


def test_a_theme_that_was_chosen_is_worn_at_the_next_start(tmp_path: Path) -> None:
    options = UiOptions(clock=StillClock(), theme_file=tmp_path / "theme")

    async def choose() -> None:
        async with stage(busy_control(), options=options) as shown:
            assert shown.app.theme == DEFAULT
            commands = {command.title: command for command in shown.app.get_system_commands(shown.app.screen)}
            commands["Theme gyoza-light"].callback()
            assert shown.app.theme == "gyoza-light"
            await shown.until((tmp_path / "theme").exists)

    async def look(options: UiOptions, theme: str) -> None:
        async with stage(busy_control(), options=options) as shown:
            assert shown.app.theme == theme

    asyncio.run(choose())
    assert [path.name for path in tmp_path.iterdir()] == ["theme"], "nothing half written stays"
    asyncio.run(look(options, "gyoza-light"))
    asyncio.run(look(replace(options, theme="gyoza-contrast"), "gyoza-contrast"))


@pytest.mark.parametrize("content", [b"", b"no-such-theme\n", b"\xff\xfe", b"gyoza-light" + bytes(10_000), None])
def test_a_file_that_names_no_theme_is_not_heeded(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "theme"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    assert theme_file.kept(path, ["gyoza-light"]) is None
    theme_file.keep(path, "gyoza-light")
    assert theme_file.kept(path, ["gyoza-light"]) == "gyoza-light"
    path.rename(tmp_path / "another")
    path.symlink_to(tmp_path / "another")
    assert theme_file.kept(path, ["gyoza-light"]) is None, "through no link"


def test_a_theme_that_cannot_be_kept_is_worn_all_the_same(tmp_path: Path) -> None:
    options = UiOptions(clock=StillClock(), theme_file=tmp_path / "gone" / "theme")

    async def choose() -> None:
        async with stage(busy_control(), options=options) as shown:
            shown.app.wear("gyoza-light")
            await shown.until(lambda: shown.app._notifications)
            assert [note.message for note in shown.app._notifications] == [
                f"the theme is not kept: {options.theme_file}: No such file or directory"
            ]
            assert shown.app.theme == "gyoza-light"

    asyncio.run(choose())
