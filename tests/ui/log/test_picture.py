"""What has to be painted."""

from __future__ import annotations

from gyoza_tui.ui.widgets.log_view.picture import Picture
from tests.ui.log.test_window import HEIGHT, Log, numbers


def test_only_what_differs_is_painted() -> None:
    log, picture = Log(numbers(0, 3)), Picture()
    assert picture.show(log.window, None) == list(range(HEIGHT))
    assert picture.show(log.window, None) == []
    assert picture.show(log.window, 1) == [1]
    assert picture.show(log.window, 2) == [1, 2]
    log.grow("3")
    assert picture.show(log.window, 2) == [3]
    picture.forget()
    assert picture.show(log.window, 2) == list(range(HEIGHT))


def test_each_row_is_painted_where_the_scrollbar_has_moved() -> None:
    log, picture = Log(numbers(0, 100)), Picture()
    picture.show(log.window, None)
    assert [picture.bar(y) for y in range(HEIGHT)] == ["bar"] * (HEIGHT - 1) + ["thumb"]
    log.window.go_to_first()
    log.fill()
    assert picture.show(log.window, None) == list(range(HEIGHT))
    assert picture.bar(0) == "thumb"


def test_where_nothing_stands_there_is_no_row() -> None:
    log, picture = Log(["0"]), Picture()
    picture.show(log.window, 0)
    assert picture.row(0).cursor
    assert [picture.row(y).row for y in (1, 99)] == [None, None]
    assert picture.bar(0) == ""
