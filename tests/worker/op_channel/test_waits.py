"""When a wait is answered, and when the attempt has its slot."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from gyoza_tui.models.states import RunState
from gyoza_tui.worker.op_channel.messages import Until
from gyoza_tui.worker.op_channel.waits import OpenWait, Waits
from tests.worker.op_channel.desk import FakeWaitingRuns

DONE = RunState.COMPLETED


class Attempt:
    def __init__(self, *, waiting: bool = False) -> None:
        self.runs = FakeWaitingRuns()
        self.answers: list[dict[str, RunState]] = []
        self.waits = Waits(1, self.runs, lambda call: call(), lambda: None, waiting=waiting)

    def wait(self, children: Iterable[str], until: Until = Until.ALL_COMPLETED, *ended: str) -> OpenWait:
        wait = OpenWait(children)
        wait.until = until
        wait.answer = lambda: self.answers.append(wait.ended)
        for child in ended:
            wait.note(child, DONE)
        self.waits.open(wait)
        return wait

    def end(self, child: str, state: RunState = DONE) -> None:
        self.waits.note(child, state)
        self.waits.settle()

    @property
    def calls(self) -> list[str]:
        return [call[0] for call in self.runs.calls]


def test_the_first_wait_gives_up_the_slot_and_its_answer_comes_through_the_gate() -> None:
    attempt = Attempt()
    attempt.runs.gate_is_open = False
    attempt.wait("abc")
    assert attempt.runs.calls == [("begin", 3, 3)]
    attempt.end("a")
    attempt.end("b")
    assert attempt.runs.calls[1:] == [("count", 2), ("count", 1)]
    attempt.end("c")
    assert (attempt.runs.calls[3:], attempt.answers) == ([("come back",)], [])
    attempt.runs.at_gate[0]()
    assert attempt.answers == [dict.fromkeys("abc", DONE)]
    assert not attempt.waits.are_open


def test_children_that_have_ended_already_never_cost_the_slot() -> None:
    attempt = Attempt()
    attempt.wait("ab", Until.ALL_COMPLETED, "a", "b")
    attempt.wait("ab", Until.FIRST_COMPLETED, "a")
    attempt.wait("")
    assert (attempt.calls, len(attempt.answers)) == ([], 3)


@pytest.mark.parametrize(
    ("until", "ends"),
    [(Until.FIRST_COMPLETED, 1), (Until.FIRST_EXCEPTION, 2), (Until.ALL_COMPLETED, 3)],
)
def test_how_many_ends_it_takes(until: Until, ends: int) -> None:
    attempt = Attempt()
    attempt.wait("abc", until)
    for number, (child, state) in enumerate([("a", DONE), ("b", RunState.FAILED), ("c", DONE)], 1):
        attempt.end(child, state)
        assert bool(attempt.answers) == (number >= ends)


def test_a_wait_beside_which_another_stays_open_is_answered_without_the_gate() -> None:
    attempt = Attempt()
    attempt.runs.gate_is_open = False
    attempt.wait("a")
    attempt.wait("b")
    assert attempt.calls == ["begin", "count"]
    attempt.end("a")
    assert (len(attempt.answers), attempt.calls) == (1, ["begin", "count", "count"])
    attempt.end("b")
    assert (len(attempt.answers), attempt.calls[-1]) == (1, "come back")


def test_waits_that_end_together_are_answered_by_one_return() -> None:
    attempt = Attempt()
    attempt.runs.gate_is_open = False
    attempt.wait("a")
    attempt.wait("a")
    attempt.end("a")
    assert attempt.calls.count("come back") == 1
    attempt.runs.at_gate[0]()
    assert len(attempt.answers) == 2


def test_a_wait_that_is_opened_while_the_attempt_returns_gives_the_slot_up_again() -> None:
    attempt = Attempt()
    attempt.runs.gate_is_open = False
    attempt.wait("a")
    attempt.end("a")
    attempt.wait("b")
    attempt.runs.at_gate[0]()
    assert attempt.calls[-1] == "begin"
    attempt.end("b")
    attempt.runs.at_gate[-1]()
    assert len(attempt.answers) == 2


def test_a_hang_up_of_the_last_wait_takes_the_slot_back_and_is_never_answered() -> None:
    attempt = Attempt()
    attempt.runs.gate_is_open = False
    waits = [attempt.wait("a"), attempt.wait("b")]
    attempt.waits.drop(waits[0])
    assert "hung up" not in attempt.calls
    attempt.end("b")
    attempt.waits.drop(waits[1])
    assert attempt.calls[-1] == "hung up"
    attempt.wait("c")
    calls = list(attempt.calls)
    assert calls[-1] == "begin"
    attempt.runs.at_gate[0]()
    assert (attempt.answers, attempt.calls) == ([], calls), "a return that was called off is none"
    attempt.end("c")
    assert (attempt.answers, attempt.calls[-1]) == ([], "come back")


def test_time_that_is_over_goes_through_the_gate_too() -> None:
    attempt = Attempt()
    wait = attempt.wait("ab")
    attempt.end("a")
    attempt.waits.time_is_over(wait)
    assert (attempt.calls[-1], attempt.answers) == ("come back", [{"a": DONE}])


def test_after_a_restart_the_attempt_waits_until_its_op_has_waited_again() -> None:
    attempt = Attempt(waiting=True)
    attempt.waits.settle()
    assert attempt.calls == []
    attempt.wait("a", Until.ALL_COMPLETED, "a")
    assert attempt.calls == ["come back"]
    assert len(attempt.answers) == 1


def test_an_op_that_does_not_wait_again_has_hung_up() -> None:
    attempt = Attempt(waiting=True)
    attempt.waits.give_up()
    assert attempt.calls == ["hung up"]
    attempt.waits.give_up()
    assert attempt.calls == ["hung up"]


def test_where_no_ends_are_reported_the_slot_is_kept() -> None:
    attempt = Attempt()
    attempt.waits.keeps_slot = True
    attempt.wait("a")
    attempt.end("a")
    assert (attempt.calls, len(attempt.answers)) == ([], 1)


def test_an_attempt_that_has_ended_calls_for_nothing() -> None:
    attempt = Attempt()
    wait = attempt.wait("a")
    attempt.waits.forget()
    attempt.waits.drop(wait)
    attempt.end("a")
    assert (attempt.calls, attempt.answers) == (["begin"], [])


def test_what_very_many_waits_name_is_not_compared_at_each_end(monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = Attempt()
    names = [f"c{number}" for number in range(6000)]
    attempt.wait(names)
    attempt.wait(names[:2000])
    attempt.end("c0")
    assert attempt.runs.calls[-1] == ("count", 5999)
    attempt.wait(names[1:])
    monkeypatch.setattr(attempt.waits, "pending", lambda: pytest.fail("all names are compared"))
    attempt.end("c1")
    assert attempt.runs.calls[-1] == ("count", 5998)
