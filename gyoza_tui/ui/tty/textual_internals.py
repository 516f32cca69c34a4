"""All that we rely on of Textual without its documentation, as read at 8.2.8."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final, TypeVar

from textual._compositor import Compositor
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget

_T = TypeVar("_T")
_MOUSE_MODES: Final = ("1000", "1002", "1006")
"""Buttons, movement while one is down, coordinates as numbers."""
_PIXELS: Final = "1016"


def driver_of(app: App[Any]) -> Driver | None:
    return app._driver


class UnprintedApp(App[_T]):
    """An app whose exception is for its host: Textual prints it with local variables, to the terminal."""

    def __init__(self, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class=driver_class)
        self.closing = asyncio.Event()
        # what other threads print goes where stdout and stderr go: to the log
        self._capture_stdout: Any = sys.stdout
        self._capture_stderr: Any = sys.stderr

    @property
    def error(self) -> BaseException | None:
        """What it ended by."""
        return self._exception

    def panic(self, *_renderables: object) -> None:
        self._fatal_error()

    def _fatal_error(self) -> None:
        self._close_messages_no_wait()
        self.closing.set()


class TightScreen(Screen[_T]):
    """Draws again only those widgets that a changed part of it meets."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = _TightCompositor()


class _TightCompositor(Compositor):
    """Textual asks whether what a widget is cut to meets the part, and that is the whole screen for every panel.

    A line that came into a log had all of them drawn again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[Widget, tuple[Region, Region]] = {}
        self._tight: dict[Widget, tuple[Region, Region]] = {}

    def clear(self) -> None:
        super().clear()
        self._found, self._tight = {}, {}

    @property
    def visible_widgets(self) -> dict[Widget, tuple[Region, Region]]:
        """The region of each, and what is seen of it."""
        found = super().visible_widgets
        if found is not self._found:
            self._found = found
            self._tight = {widget: (region, region.intersection(clip)) for widget, (region, clip) in found.items()}
        return self._tight


class KeyParser(XTermParser):
    """Makes messages of what a terminal sends; cannot be used any more once it has raised."""

    @property
    def undecided(self) -> bool:
        """Whether an escape has come that may be a key, or begin a sequence: `tick` decides when it was a key."""
        return self._timeout_time is not None

    def successor(self) -> KeyParser:
        """A new one with what this one knows of the terminal."""
        parser = KeyParser()
        parser.mouse_pixels = self.mouse_pixels
        parser.terminal_size = self.terminal_size
        parser.terminal_pixel_size = self.terminal_pixel_size
        return parser


class OpenDriver(LinuxDriver):
    """Textual's driver, with a mouse that can be switched and a size that a subclass finds out."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self.app = self._app
        self.loop = self._loop

    def terminal_size(self) -> tuple[int, int]:
        raise NotImplementedError

    def switch_mouse(self) -> bool:
        """Leave the mouse to the terminal's own selection, or take it back; whether it is the app's now."""
        if self._mouse:
            self._disable_mouse_support()
            self._mouse = False
        else:
            self._mouse = True
            self.take_mouse()
            if self._mouse_pixels:
                self._enable_mouse_pixels()
        return self._mouse

    def take_mouse(self) -> None:
        """Have the terminal report it, unless it is left to the terminal."""
        if self._mouse:
            self.write("".join(f"\x1b[?{mode}h" for mode in _MOUSE_MODES))

    def _enable_mouse_support(self) -> None:
        self.take_mouse()

    def _disable_mouse_support(self) -> None:
        if self._mouse:
            modes = (_PIXELS, *_MOUSE_MODES) if self._mouse_pixels else _MOUSE_MODES
            self.write("".join(f"\x1b[?{mode}l" for mode in modes))

    def _get_terminal_size(self) -> tuple[int, int]:
        return self.terminal_size()
