"""The line that a person is at."""

from __future__ import annotations

from gyoza_tui.ui.widgets.log_view.cursor import Cursor
from tests.ui.log.test_window import HEIGHT, Log, numbers


def test_without_a_cursor_it_is_the_last_line_while_it_follows_else_the_first_on_the_screen() -> None:
    log = Log(numbers(0, 20))
    cursor = Cursor(log.window)
    assert (cursor.number, cursor.place) == (None, 19)
    log.scroll(-4)
    assert cursor.place == 11
    assert cursor.line is not None
    assert cursor.line.text == "11"


def test_where_there_is_no_line_there_is_no_place() -> None:
    cursor = Cursor(Log([]).window)
    cursor.move(1)
    assert (cursor.number, cursor.place, cursor.line) == (None, None, None)


def test_it_begins_at_an_edge_and_moves_the_text_at_the_other() -> None:
    log = Log(numbers(0, 20))
    cursor = Cursor(log.window)
    seen = []
    for _ in range(HEIGHT + 1):
        cursor.move(-1)
        log.fill()
        seen.append(cursor.number)
    assert seen == [19, 18, 17, 16, 15, 14]
    assert log.rows == numbers(14, 19)


def test_who_goes_up_follows_no_more() -> None:
    log = Log(numbers(0, 20))
    Cursor(log.window).move(-1)
    log.grow("20")
    assert log.rows == numbers(15, 20)


def test_a_cursor_that_has_left_the_screen_is_not_where_things_are_about() -> None:
    log = Log(numbers(0, 40))
    cursor = Cursor(log.window)
    cursor.go_to(10)
    log.fill()
    assert cursor.place == 10
    log.scroll(20)
    assert cursor.number == 10
    assert cursor.place == log.window.numbers[0]
