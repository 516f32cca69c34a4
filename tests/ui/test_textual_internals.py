"""That Textual's inside is as it was read: what of it we rely on does what we rely on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Static

from gyoza_tui.ui.tty.driver import GyozaDriver
from gyoza_tui.ui.tty.textual_internals import KeyParser, OpenDriver, TightScreen, UnprintedApp, driver_of

_SIGNALS = (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, signal.SIGTTOU, signal.SIGTTIN)


@pytest.fixture
def signals() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in _SIGNALS}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


class _Counted(Static):
    DEFAULT_CSS = "_Counted { width: 1fr; height: 5; }"
    drawn = 0

    def render_lines(self, crop: Region) -> list[Strip]:
        self.drawn += 1
        return super().render_lines(crop)


class _Pair(TightScreen[None]):
    def compose(self) -> ComposeResult:
        yield Horizontal(_Counted("changes", id="changing"), _Counted("stays", id="other"))


def test_what_a_change_does_not_meet_is_not_drawn_again() -> None:
    async def look() -> None:
        app = App[None]()
        async with app.run_test() as pilot:
            await app.push_screen(_Pair())
            changing, other = (app.screen.query_one(name, _Counted) for name in ("#changing", "#other"))
            await pilot.pause()
            before = changing.drawn, other.drawn
            changing.refresh(Region(0, 0, 5, 1))
            await pilot.pause()
            assert changing.drawn > before[0]
            assert other.drawn == before[1]

    asyncio.run(look())


class _Broken(UnprintedApp[None]):
    def on_mount(self) -> None:
        self.prints_to = sys.stdout
        self.call_later(self._break)

    def _break(self) -> None:
        secret = "hunter2"  # noqa: F841
        raise ValueError("broken on purpose")


def test_an_app_that_breaks_ends_without_a_word_and_knows_why(capsys: pytest.CaptureFixture[str]) -> None:
    async def look() -> None:
        app = _Broken()
        assert driver_of(app) is None
        await asyncio.wait_for(app.run_async(headless=True), 10)
        assert app.closing.is_set()
        assert repr(app.error) == "ValueError('broken on purpose')"
        assert app.prints_to is sys.stdout

    asyncio.run(look())
    assert capsys.readouterr() == ("", "")


def test_a_parser_knows_when_an_escape_is_undecided_and_hands_on_what_it_knows() -> None:
    parser = KeyParser()
    assert list(parser.feed("\x1b")) == []
    assert parser.undecided
    assert [type(message) for message in parser.feed("[48;40;120;800;1200t")] == [events.Resize]
    assert not parser.undecided
    later = parser.successor()
    assert (later.mouse_pixels, later.terminal_size, later.terminal_pixel_size) == (True, (120, 40), (1200, 800))


class _Sized(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def on_resize(self, event: events.Resize) -> None:
        self.sizes.append((event.size.width, event.size.height))


class _Written(OpenDriver):
    """On a terminal of its own."""

    written = ""

    def write(self, data: str) -> None:
        self.written += data

    def terminal_size(self) -> tuple[int, int]:
        return 33, 7

    def run_input_thread(self) -> None:
        """Nobody types."""

    def take_written(self) -> str:
        written, self.written = self.written, ""
        return written


@pytest.mark.usefixtures("signals")
def test_the_driver_takes_its_size_and_its_mouse_from_ours() -> None:
    async def look() -> None:
        ours, theirs = os.openpty()
        app = _Sized()
        async with app.run_test() as pilot:
            driver = _Written(app)
            assert (driver.app, driver.loop) == (app, asyncio.get_running_loop())
            driver.fileno = theirs
            driver.start_application_mode()  # type: ignore[no-untyped-call]
            await pilot.pause()
            assert app.sizes[-1] == (33, 7)
            assert "\x1b[?1000h\x1b[?1002h\x1b[?1006h" in driver.take_written()
            driver.process_message(events.Key("x", "x"))
            assert not driver.switch_mouse()
            assert driver.take_written() == "\x1b[?1000l\x1b[?1002l\x1b[?1006l"
            driver.take_mouse()
            assert driver.take_written() == ""
            assert driver.switch_mouse()
            driver._enable_mouse_pixels()
            driver.take_written()
            driver.switch_mouse()
            assert "\x1b[?1016l" in driver.take_written()
            driver.switch_mouse()
            assert "\x1b[?1016h" in driver.take_written()
            driver.stop_application_mode()
            assert "\x1b[?1000l\x1b[?1002l\x1b[?1006l" in driver.take_written()
            driver.close()
        os.close(ours)
        os.close(theirs)

    asyncio.run(look())


@pytest.mark.usefixtures("signals")
def test_what_breaks_the_reading_of_keys_ends_the_app() -> None:
    async def look() -> None:
        app = App[None]()
        async with app.run_test():
            driver = GyozaDriver(app)  # that has no terminal
            reading = threading.Thread(target=driver.run_input_thread)
            reading.start()
            await asyncio.wait_for(asyncio.to_thread(reading.join), 10)

    with pytest.raises(ValueError, match="file descriptor"):
        asyncio.run(look())
