"""What the keys of the log do, on a log of numbered lines."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial

from tests.ui.terminal.actions.proof import Act, proves
from tests.ui.terminal.seat import ERRORS, LATER_LINE, LINES, LONG_LINE, NEEDLES, Seat
from tests.waiting import until

END_OF_LONG = "word-60"


def at_top(seat: Seat) -> None:
    seat.in_log()
    seat.press("g")
    seat.until_log(first=1)


def line_at_cursor(seat: Seat) -> str:
    return seat.copied(lambda: seat.press("c"))


def number_at_cursor(seat: Seat) -> int:
    return int(line_at_cursor(seat).split()[1])


def _in_sight(seat: Seat, number: int) -> bool:
    return number in seat.log_numbers


def found(seat: Seat, number: int) -> None:
    until(lambda: f"/needle {number}/{len(NEEDLES)}" in seat.log_rule, f"match {number} in the log's title")
    assert line_at_cursor(seat) == f"line {NEEDLES[number - 1]} needle"


def found_first(seat: Seat) -> None:
    at_top(seat)
    seat.write(lambda: seat.press("slash"), "needle\r")
    found(seat, 1)


@proves("log_follow")
def follow(seat: Seat, act: Act) -> None:
    run = seat.in_log()
    act()
    until(lambda: "FOLLOW" not in seat.log_rule, "it stands still")
    before = seat.log_numbers
    seat.output_in(run, "sh", "-c", "echo late news > /proc/1/fd/1")
    until(lambda: "▼ +1 new" in seat.log_rule, "a new line is counted")
    assert seat.log_numbers == before
    act()
    until(lambda: "late news" in seat.log[-1] and "FOLLOW" in seat.log_rule, "the new line")
    seat.cancel_everything()  # the next one reads a log that ends as it should


@proves("log_top")
def top(seat: Seat, act: Act) -> None:
    seat.in_log()
    act()
    seat.until_log(first=1)
    until(lambda: "FOLLOW" not in seat.log_rule, "it stands still")


@proves("log_end")
def end(seat: Seat, act: Act) -> None:
    at_top(seat)
    act()
    seat.until_log(last=LINES)
    until(lambda: "FOLLOW" in seat.log_rule, "it follows")


@proves("log_page_down")
def page_down(seat: Seat, act: Act) -> None:
    at_top(seat)
    act()
    seat.until_log(first=len(seat.log))


@proves("log_page_up")
def page_up(seat: Seat, act: Act) -> None:
    seat.in_log()
    first = seat.log_numbers[0]
    assert first is not None
    act()
    seat.until_log(last=first)


@proves("log_down")
def down(seat: Seat, act: Act) -> None:
    at_top(seat)
    act()
    before = number_at_cursor(seat)
    act()
    assert number_at_cursor(seat) == before + 1


@proves("log_up")
def up(seat: Seat, act: Act) -> None:
    seat.in_log()
    act()
    before = number_at_cursor(seat)
    act()
    assert number_at_cursor(seat) == before - 1
    until(lambda: "FOLLOW" not in seat.log_rule, "it stands still")


@proves("log_right")
def right(seat: Seat, act: Act) -> None:
    seat.in_log()
    act()
    seat.hides(f"line {LONG_LINE}")
    for _ in range(5):
        act()
    seat.shows(END_OF_LONG)
    for _ in range(6):
        seat.press("left")
    seat.shows(f"line {LONG_LINE}")


@proves("log_left")
def left(seat: Seat, act: Act) -> None:
    seat.in_log()
    seat.press("right")
    seat.hides(f"line {LONG_LINE}")
    act()
    seat.shows(f"line {LONG_LINE}")


@proves("log_wrap")
def wrap(seat: Seat, act: Act) -> None:
    seat.in_log()
    assert END_OF_LONG not in seat.session.text
    act()
    seat.shows(END_OF_LONG)
    act()
    seat.hides(END_OF_LONG)


@proves("log_times")
def times(seat: Seat, act: Act) -> None:
    seat.in_log()

    def timed() -> bool:
        return bool(re.match(r" *\d\d:\d\d:\d\d line", seat.log[-1]))

    before = timed()
    act()
    until(lambda: timed() is not before, "with times, or without")
    act()
    until(lambda: timed() is before, "as it was")


@proves("log_go_time")
def go_to_a_time(seat: Seat, act: Act) -> None:
    run = seat.in_log()
    (line,) = seat.spool(run).read_lines(LATER_LINE - 1, 1)
    seat.press("g")
    seat.until_log(first=1)
    act()
    seat.shows("go to (")
    seat.type(datetime.fromtimestamp(line.at, UTC).astimezone().strftime("%H:%M:%S\r"))
    until(lambda: LATER_LINE in seat.log_numbers, f"line {LATER_LINE}")
    assert line_at_cursor(seat) == f"line {LATER_LINE}"


@proves("log_next")
def next_match(seat: Seat, act: Act) -> None:
    found_first(seat)
    act()
    found(seat, 2)
    act()
    found(seat, 3)


@proves("log_previous")
def previous_match(seat: Seat, act: Act) -> None:
    found_first(seat)
    act()
    found(seat, 3)
    act()
    found(seat, 2)


@proves("log_only")
def only_matches(seat: Seat, act: Act) -> None:
    seat.in_log()
    seat.write(act, "needle")
    until(lambda: [n for n in seat.log_numbers if n] == list(NEEDLES), "the matching lines")
    seat.type("\r")
    until(lambda: f"&needle {len(NEEDLES)}" in seat.log_rule, "what is left out in the title")
    act()
    until(lambda: all(seat.log_numbers), "all lines")


@proves("next_error")
def next_error(seat: Seat, act: Act) -> None:
    at_top(seat)
    for number in ERRORS:
        act()
        until(partial(_in_sight, seat, number), f"line {number}")
        assert line_at_cursor(seat) == f"line {number} error"


@proves("previous_error")
def previous_error(seat: Seat, act: Act) -> None:
    seat.in_log()
    for number in reversed(ERRORS):
        act()
        until(partial(_in_sight, seat, number), f"line {number}")
        assert line_at_cursor(seat) == f"line {number} error"


@proves("log_line")
def whole_line(seat: Seat, act: Act) -> None:
    seat.in_log()
    while f"line {LONG_LINE} " not in line_at_cursor(seat):
        seat.press("up")
    act()
    seat.shows(f"── Line {LONG_LINE}")
    seat.shows(END_OF_LONG)
    assert "── Runs" not in seat.session.text
    act()
    seat.shows("── Runs")
