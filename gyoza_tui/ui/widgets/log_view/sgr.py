"""What SGR parameters make of a style. Conceal and blink are dropped: nothing may hide or flicker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from rich.color import Color
from rich.style import Style


class Pen(NamedTuple):
    """The colours and such in force."""

    color: Color | None = None
    bgcolor: Color | None = None
    bold: bool | None = None
    dim: bool | None = None
    italic: bool | None = None
    underline: bool | None = None
    reverse: bool | None = None
    strike: bool | None = None


PLAIN: Final = Pen()
_FLAGS: Final[dict[int, dict[str, bool | None]]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": None, "dim": None},
    23: {"italic": None},
    24: {"underline": None},
    27: {"reverse": None},
    29: {"strike": None},
}
_COLORS: Final[dict[range, tuple[str, int]]] = {
    range(30, 38): ("color", -30),
    range(40, 48): ("bgcolor", -40),
    range(90, 98): ("color", 8 - 90),
    range(100, 108): ("bgcolor", 8 - 100),
}
_OF_THE_256: Final = 5
_OF_ALL: Final = 2


@lru_cache(maxsize=4096)
def after(pen: Pen, parameters: str) -> Pen:
    """The pen when `ESC [ parameters m` has come."""
    codes = iter(parameters.split(";"))
    for code in codes:
        head, _, rest = code.partition(":")
        pen = _after_code(pen, _number(head), rest, codes)
    return pen


@lru_cache(maxsize=4096)
def style(pen: Pen) -> Style:
    return Style(
        color=pen.color,
        bgcolor=pen.bgcolor,
        bold=pen.bold,
        dim=pen.dim,
        italic=pen.italic,
        underline=pen.underline,
        reverse=pen.reverse,
        strike=pen.strike,
    )


def _after_code(pen: Pen, code: int, parts: str, following: Iterator[str]) -> Pen:
    if code == 0:
        return PLAIN
    if code == 4 and parts == "0":
        return pen._replace(underline=None)
    if code in _FLAGS:
        return pen._replace(**_FLAGS[code])  # type: ignore[arg-type]
    if code in (38, 48):
        numbers = [_number(part) for part in parts.split(":")] if parts else None
        color = _of_parts(numbers) if numbers else _of_following(lambda: _number(next(following, "-1")))
        return pen._replace(color=color) if code == 38 else pen._replace(bgcolor=color)
    if code in (39, 49):
        return pen._replace(color=None) if code == 39 else pen._replace(bgcolor=None)
    for codes, (which, shift) in _COLORS.items():
        if code in codes:
            color = Color.from_ansi(code + shift)
            return pen._replace(color=color) if which == "color" else pen._replace(bgcolor=color)
    return pen


def _of_following(take: Callable[[], int]) -> Color | None:
    kind = take()
    if kind == _OF_THE_256:
        return _indexed(take())
    return _rgb(take(), take(), take()) if kind == _OF_ALL else None


def _of_parts(numbers: list[int]) -> Color | None:
    """Of `5:n`, `2:r:g:b` or `2:space:r:g:b`."""
    kind, *values = numbers
    if kind == _OF_THE_256 and values:
        return _indexed(values[0])
    return _rgb(*values[-3:]) if kind == _OF_ALL and len(values) >= 3 else None


def _indexed(number: int) -> Color | None:
    return Color.from_ansi(number) if 0 <= number < 256 else None


def _rgb(red: int, green: int, blue: int) -> Color | None:
    return Color.from_rgb(red, green, blue) if all(0 <= value < 256 for value in (red, green, blue)) else None


def _number(text: str) -> int:
    return int(text[:6]) if text else 0
