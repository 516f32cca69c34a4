"""The way to what a person looks for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from gyoza_tui.ui.background import Work
from gyoza_tui.ui.widgets.log_view.cursor import Cursor
from gyoza_tui.ui.widgets.log_view.finder import Finder
from gyoza_tui.ui.widgets.log_view.goal import Goal
from gyoza_tui.worker.view.control import ControlError, LogHits, LogPage, LogQuery
from tests.ui.log.test_window import Log


class Shown:
    """A log that is searched as its lines are."""

    def __init__(self, lines: list[str]) -> None:
        self.log = Log(lines)
        self.cursor = Cursor(self.log.window)
        self.finder = Finder(self, self, self.log.window, self.cursor)
        self.said: list[str] = []
        self.broken = False
        self._works: list[Work] = []

    def lines(self, start: int, count: int) -> LogPage:
        return LogPage(tuple(self.log.lines[start:][:count]), len(self.log.lines))

    def search(self, query: LogQuery, line: int, *, backwards: bool = False) -> LogHits:
        if self.broken:
            raise ControlError("no answer")
        found = [n for n, each in enumerate(self.log.lines) if re.search(query.pattern, each.data.decode())]
        return LogHits(tuple(n for n in found if (n < line if backwards else n >= line)), None)

    def go_to(self, number: int) -> None:
        self.cursor.go_to(number)
        self.log.fill()

    def searches_changed(self) -> None:
        self.log.fill()

    matches_changed = searches_changed

    def say(self, words: str) -> None:
        self.said.append(words)

    def begin(self, work: Work, *, alone: bool = False) -> None:
        self._works.append(work)

    def after(self, action: Callable[[], None]) -> int | None:
        """The cursor's line when all that it began is done."""

        async def work() -> None:
            while self._works:
                await self._works.pop()()

        action()
        asyncio.run(work())
        return self.cursor.number


def shown() -> Shown:
    return Shown([f"needle {n}" if n % 10 == 5 else f"error {n}" if n == 42 else f"line {n}" for n in range(100)])


def test_it_goes_to_the_nearest_match_and_steps_round() -> None:
    it = shown()
    assert it.after(lambda: it.finder.look_for("needle")) == 95
    assert it.after(lambda: it.finder.step(Goal.NEXT)) == 5
    assert it.after(lambda: it.finder.step(Goal.PREVIOUS)) == 95
    assert it.finder.complete
    assert [pattern.pattern for pattern in it.finder.patterns] == ["needle"]


def test_what_is_not_there_is_said_to_who_steps_and_not_to_who_types() -> None:
    it = shown()
    it.finder.step(Goal.NEXT)
    assert it.said == ["nothing to find"]
    it.after(lambda: it.finder.look_for("hay"))
    assert it.said == ["nothing to find"]
    assert it.after(lambda: it.finder.step(Goal.NEXT)) is None
    assert it.said[1:] == ["not found: hay"]


def test_steps_leave_out_what_is_not_shown() -> None:
    it = shown()
    it.after(lambda: it.finder.show_only("needle [2-4]5"))
    assert it.after(lambda: it.finder.look_for("needle")) == 95
    it.after(lambda: it.finder.show_only("5"))
    assert it.after(lambda: it.finder.step(Goal.NEXT)) == 5


def test_the_place_of_the_match_in_its_line_is_told_once() -> None:
    it = shown()
    it.after(lambda: it.finder.look_for("95"))
    assert it.cursor.line is not None
    assert it.finder.match_gone_to(it.cursor.line) == (7, 9)
    assert it.finder.match_gone_to(it.cursor.line) is None


def test_it_goes_to_errors_or_says_that_there_is_none() -> None:
    it = shown()
    assert it.after(lambda: it.finder.to_error(backwards=True)) == 42
    it.after(lambda: it.finder.to_error(backwards=True))
    assert it.said == ["no error above"]
    it.after(lambda: it.finder.to_error(backwards=False))
    assert it.said[1:] == ["no error below"]


def test_a_log_that_cannot_be_read_is_given_up_without_a_word() -> None:
    it = shown()
    it.broken = True
    assert it.after(lambda: it.finder.look_for("needle")) is None
    assert it.after(lambda: it.finder.to_error(backwards=True)) is None
    assert it.finder.complete
    assert it.said == []
