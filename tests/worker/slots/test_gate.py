"""The gate: who has a slot, who is let in next, and what makes it look."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.runs import EventReport
from gyoza_tui.models.states import EventType
from gyoza_tui.settings import Settings
from gyoza_tui.worker.journal.file import JournalClosed
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.slots.gate import Gate
from tests.clock import StandingClock
from tests.scripted_server import ScriptedServer
from tests.waiting import until
from tests.worker.rig import Rig


class AtGate:
    """A run whose thread is at the gate."""

    def __init__(self, rig: Rig, row: RunRow) -> None:
        self.row = row
        self.passed = threading.Event()
        self.closed = threading.Event()
        self._gate = rig.parts.gate
        threading.Thread(target=self._enter, daemon=True).start()
        until(lambda: row.key in rig.parts.gate._claimed or self.passed.is_set(), "it is at the gate")

    def _enter(self) -> None:
        try:
            self._gate.enter(self.row)
        except JournalClosed:
            self.closed.set()
        else:
            self.passed.set()


@pytest.fixture
def make(scripted: ScriptedServer, tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Rigs of one state directory, one after another; a run that nothing wakes stands at the gate for ever."""
    made: list[Rig] = []

    def rig(max_runs: int = 1, **more: Any) -> Rig:
        if made:
            made[-1].close()
        made.append(Rig(scripted, tmp_path / "state", {"max_runs": max_runs}, clock=StandingClock(), **more))
        return made[-1]

    yield rig
    made[-1].close()


def _inside(rig: Rig, run_id: str, **constraints: Any) -> RunRow:
    """A run that has a slot."""
    row = rig.row(run_id, constraints=constraints)
    rig.parts.gate.enter(row)
    rig.journal.update(row.key, step="run_container")
    return rig.now(row)


def _waiting(rig: Rig, run_id: str, **constraints: Any) -> RunRow:
    """A parent without a slot."""
    row = _inside(rig, run_id, **constraints)
    rig.journal.update(row.key, waiting_since=1.0, waits_left=1, waits_of=1)
    rig.parts.gate.leave(row.key)
    return rig.now(row)


def _ends(rig: Rig, row: RunRow) -> None:
    """Its outcome is on disk; nothing is cleaned up."""
    rig.record(row).finish(Outcome.COMPLETED, "", EventReport(type=EventType.COMPLETED))


def _comes_back(gate: Gate, row: RunRow, order: list[str]) -> None:
    gate.come_back(row.key, lambda: order.append(row.run_id))


def test_a_slot_is_free_with_the_outcome_not_only_once_all_is_cleaned_up(make: Callable[..., Rig]) -> None:
    rig = make()
    first = _inside(rig, "first")
    second = AtGate(rig, rig.row("second"))
    assert not second.passed.is_set()
    _ends(rig, first)
    assert second.passed.wait(5)
    assert not rig.now(first).cleaned


def test_claimed_runs_are_let_in_in_the_order_of_their_claims(make: Callable[..., Rig]) -> None:
    rig = make()
    last = _inside(rig, "inside")
    rows = [rig.row(f"r{number}") for number in range(3)]
    at_gate = [AtGate(rig, row) for row in reversed(rows)][::-1]
    for run in at_gate:
        assert not any(later.passed.is_set() for later in at_gate[at_gate.index(run) :])
        _ends(rig, last)
        assert run.passed.wait(5)
        last = run.row


def test_no_claimed_run_passes_a_parent_that_returns(make: Callable[..., Rig]) -> None:
    rig = make()
    parents = [_waiting(rig, "p1"), _waiting(rig, "p2")]
    child = _inside(rig, "child")
    new = AtGate(rig, rig.row("new"))
    order: list[str] = []
    for parent in reversed(parents):
        _comes_back(rig.parts.gate, parent, order)
    assert (order, [rig.parts.gate.is_returning(parent.key) for parent in parents]) == ([], [True, True])
    _ends(rig, child)
    assert order == ["p2"], "in the order in which they came back"
    _ends(rig, parents[1])
    assert order == ["p2", "p1"]
    assert not new.passed.is_set()
    _ends(rig, parents[0])
    assert new.passed.wait(5)


def test_a_run_stays_at_the_gate_while_a_parent_that_returned_has_its_cpu(make: Callable[..., Rig]) -> None:
    rig = make(max_runs=4)
    cores = rig.parts.context.resources.cpu_cores
    parent = _waiting(rig, "parent", cpu=cores)
    child = rig.row("child", constraints={"cpu": cores})
    order: list[str] = []
    _comes_back(rig.parts.gate, parent, order)
    assert order == ["parent"]
    at_gate = AtGate(rig, child)
    assert not at_gate.passed.is_set()
    rig.journal.update(parent.key, waiting_since=2.0)
    rig.parts.gate.leave(parent.key)
    assert at_gate.passed.wait(5)


def test_nothing_small_passes_a_parent_that_needs_more_than_is_free(make: Callable[..., Rig]) -> None:
    rig = make(max_runs=4)
    cores = rig.parts.context.resources.cpu_cores
    parent = _waiting(rig, "parent", cpu=cores)
    busy = _inside(rig, "busy", cpu=1)
    order: list[str] = []
    _comes_back(rig.parts.gate, parent, order)
    small = AtGate(rig, rig.row("small"))
    assert (order, small.passed.is_set()) == ([], False)
    _ends(rig, busy)
    assert order == ["parent"]
    assert small.passed.wait(5), "it needs no cpu"


def test_what_needs_more_than_there_is_now_is_let_in_alone(make: Callable[..., Rig]) -> None:
    rig = make(max_runs=4)
    parent = _waiting(rig, "parent", cpu=rig.parts.context.resources.cpu_cores + 1)
    order: list[str] = []
    _comes_back(rig.parts.gate, parent, order)
    assert order == ["parent"]


def test_a_run_that_is_cancelled_at_the_gate_leaves_it_and_lets_the_next_by(make: Callable[..., Rig]) -> None:
    rig = make()
    busy = _inside(rig, "busy")
    first, second = AtGate(rig, rig.row("first")), AtGate(rig, rig.row("second"))
    rig.worker.slots.intend(first.row, Intent.CANCEL, "by hand")
    assert first.passed.wait(5), "its pipeline ends it"
    assert not second.passed.is_set()
    _ends(rig, busy)
    assert second.passed.wait(5), "the cancelled one had no slot"


@pytest.mark.parametrize("over", ["cancelled", "ended", "op ended"])
def test_a_parent_that_is_over_while_it_returns_is_not_let_in(make: Callable[..., Rig], over: str) -> None:
    rig = make()
    parent, busy = _waiting(rig, "parent"), _inside(rig, "busy")
    order: list[str] = []
    _comes_back(rig.parts.gate, parent, order)
    new = AtGate(rig, rig.row("new"))
    match over:
        case "cancelled":
            rig.worker.slots.intend(parent, Intent.CANCEL, "by hand")
        case "ended":
            _ends(rig, parent)
        case _:
            from gyoza_tui.backends.base import Exit

            rig.journal.update(parent.key, exit=Exit(1))
    _ends(rig, busy)
    assert new.passed.wait(5)
    assert order == []
    assert not rig.parts.gate.is_returning(parent.key)


def test_more_slots_by_a_reload_let_in_at_once_fewer_take_none_away(make: Callable[..., Rig]) -> None:
    rig = make(max_runs=2)
    read = Settings(worker_id="w1", max_runs=2)
    live = rig.parts.control._commands._settings
    live._read = lambda: read
    first, second = _inside(rig, "first"), _inside(rig, "second")
    third = AtGate(rig, rig.row("third"))
    read = read.model_copy(update={"max_runs": 1})
    live.reload()
    _ends(rig, first)
    assert not third.passed.is_set()
    read = read.model_copy(update={"max_runs": 2})
    live.reload()
    assert third.passed.wait(5)
    assert rig.now(second).outcome is None


def test_the_close_of_a_worker_ends_the_threads_at_its_gate(make: Callable[..., Rig]) -> None:
    rig = make()
    _inside(rig, "busy")
    at_gate = AtGate(rig, rig.row("new"))
    rig.worker.close()
    assert at_gate.closed.wait(5)


def test_a_parent_that_hung_up_is_awake_whether_there_is_room_or_not(make: Callable[..., Rig]) -> None:
    rig = make()
    parent, busy = _waiting(rig, "parent"), _inside(rig, "busy")
    order: list[str] = []
    _comes_back(rig.parts.gate, parent, order)
    rig.parts.gate.come_in(parent.key)
    new = AtGate(rig, rig.row("new"))
    _ends(rig, busy)
    assert (order, new.passed.is_set()) == ([], False), "two were inside"
    _ends(rig, parent)
    assert new.passed.wait(5)


def test_a_restarted_worker_knows_who_has_a_slot(make: Callable[..., Rig]) -> None:
    rig = make()
    busy, claimed, parent = _inside(rig, "busy"), rig.row("claimed"), rig.row("parent")
    rig.journal.update(parent.key, step="run_container", waiting_since=1.0, waits_of=1)
    again = make()
    gate, order = again.parts.gate, list[str]()
    for begun in (busy, again.now(parent)):
        gate.enter(begun)
    at_gate = AtGate(again, claimed)
    _comes_back(gate, parent, order)
    assert (order, at_gate.passed.is_set()) == ([], False)
    _ends(again, busy)
    assert order == ["parent"]
    assert not at_gate.passed.is_set()


def test_slots_that_no_claim_can_count_on(make: Callable[..., Rig]) -> None:
    rig = make(max_runs=4)
    gate, order = rig.parts.gate, list[str]()
    parent = _waiting(rig, "parent", cpu=rig.parts.context.resources.cpu_cores)
    assert (gate.taken, rig.parts.capacity.free_slots) == (0, 4)
    busy = _inside(rig, "busy", cpu=1)
    rig.row("claimed")
    _comes_back(gate, parent, order)
    assert gate.taken == 3, "one at work, one that is claimed, one that returns"
    _ends(rig, busy)
    assert order == ["parent"]
    assert gate.taken == 3, "what has ended is not cleaned up, and what is let in not journaled yet"
    rig.journal.update(busy.key, cleaned=True)
    rig.journal.update(parent.key, waiting_since=None)
    assert gate.taken == 2
