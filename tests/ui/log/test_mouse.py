"""What a mouse does with a log."""

from __future__ import annotations

from collections.abc import Callable

from textual.geometry import Offset
from textual.selection import Selection
from textual.timer import Timer

from gyoza_tui.ui.widgets.log_view.columns import Columns
from gyoza_tui.ui.widgets.log_view.mouse import Mouse
from tests.ui.log.test_window import HEIGHT, Log, numbers

WIDTH = 42
BAR = WIDTH - 1


class Interval:
    """A timer that the test lets pass."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.passes = callback
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


class Pointed:
    """A log of ten times the screen's height, in its middle."""

    def __init__(self) -> None:
        self.log = Log(numbers(0, 10 * HEIGHT))
        self.log.scroll(-5 * HEIGHT)
        self.mouse = Mouse(self, self.log.window, Columns(lambda: WIDTH))
        self.captured = 0
        self.cursor: int | None = None
        self.selected: Selection | None = None
        self.interval: Interval | None = None

    @property
    def top(self) -> int:
        return self.log.window.top

    def scroll_rows(self, rows: int) -> None:
        self.log.scroll(rows)

    def scroll_to_share(self, share: float) -> None:
        self.log.window.go_to_share(share)
        self.log.fill()

    def put_cursor(self, number: int) -> None:
        self.cursor = number

    def select(self, selection: Selection | None) -> None:
        self.selected = selection

    def capture_mouse(self) -> None:
        self.captured += 1

    def set_interval(self, interval: float, callback: Callable[[], None]) -> Timer:
        self.interval = Interval(callback)
        return self.interval  # type: ignore[return-value]


def test_the_wheel_scrolls() -> None:
    log = Pointed()
    before = log.top
    log.mouse.wheel(-1)
    assert log.top == before - 3


def test_the_scrollbar_is_held_until_the_button_is_up() -> None:
    log = Pointed()
    log.mouse.press(Offset(BAR, 0))
    assert (log.top, log.captured, log.mouse.selects) == (0, 1, False)
    log.mouse.move(Offset(3, HEIGHT + 7))
    assert log.log.window.follow
    log.mouse.release()
    log.mouse.move(Offset(BAR, 0))
    assert log.log.window.follow


def test_a_drag_selects_from_where_it_began_with_both_characters() -> None:
    log = Pointed()
    log.mouse.press(Offset(1, 1))
    log.mouse.move(Offset(2, 2))
    assert log.selected == Selection(Offset(0, log.top + 1), Offset(2, log.top + 2))


def test_at_an_edge_the_text_moves_the_faster_the_longer() -> None:
    log = Pointed()
    log.mouse.press(Offset(1, 2))
    assert log.interval is not None
    begin, before = log.top + 2, log.top
    log.interval.passes()
    assert log.top == before
    log.mouse.move(Offset(1, -1))
    for _ in range(9):
        log.interval.passes()
    assert log.top == before - 9
    log.interval.passes()
    assert log.top == before - 11
    assert log.selected is not None
    assert (log.selected.start, log.selected.end) == (Offset(0, log.top), Offset(1, begin))


def test_a_drag_that_stays_at_the_line_it_began_on_moves_nothing() -> None:
    log = Pointed()
    before = log.top
    log.mouse.press(Offset(1, 0))
    log.mouse.move(Offset(2, 0))
    assert log.interval is not None
    log.interval.passes()
    assert log.top == before
    log.mouse.release()
    assert log.interval.stopped
    assert not log.mouse.selects


def test_a_click_puts_the_cursor_two_take_the_word_and_three_the_line() -> None:
    log = Pointed()
    log.log.lines[log.top + 1] = log.log.lines[log.top + 1]._replace(data=b"two words")
    log.log.window.take(log.log.page(log.top + 1), ())
    log.log.fill()
    at, number = Offset(6, 1), log.top + 1
    log.mouse.click(at, 1)
    assert (log.cursor, log.selected) == (number, None)
    log.mouse.click(at, 2)
    assert log.selected == Selection(Offset(4, number), Offset(9, number))
    log.mouse.click(at, 3)
    assert log.selected == Selection(Offset(0, number), Offset(9, number))


def test_a_click_on_the_scrollbar_or_below_the_log_is_none() -> None:
    log = Pointed()
    log.mouse.click(Offset(BAR, 1), 1)
    log.mouse.click(Offset(1, HEIGHT), 1)
    assert log.cursor is None
