"""Runs that wait: what is journaled and reported, who is answered when, and what every race leaves."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.backends.base import Exit
from gyoza_tui.client import Claimed
from gyoza_tui.models.runs import EventReport, OpRun
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.slots.waiting_runs import WaitingRuns
from gyoza_tui.worker.view.snapshot import Phase, RunView, Waits
from tests.scripted_server import SERVER_ID, ScriptedServer
from tests.worker.rig import Rig


class Family(Rig):
    """Runs are let in by hand; nothing happens before `turn`."""

    @property
    def waiting(self) -> WaitingRuns:
        return self.parts.waiting_runs

    def at_work(self, run_id: str, **more: Any) -> RunRow:
        row = self.row(run_id, **more)
        self.parts.gate.enter(row)
        self.journal.update(row.key, step="run_container", started_at=self.clock.utc().timestamp())
        return self.now(row)

    def parent(self, run_id: str = "parent", left: int = 1, of: int = 1) -> RunRow:
        """It waits."""
        row = self.at_work(run_id)
        self.waiting.begin(row.key, left, of)
        self.waiting.turn()
        return self.now(row)

    def ends(self, row: RunRow) -> None:
        self.record(row).finish(Outcome.COMPLETED, "", EventReport(type=EventType.COMPLETED))

    def beat_says(self, row: RunRow) -> dict[str, Any] | None:
        self.beat()
        listed = self.server.of("beat")[-1].body["running_ops"]
        found: dict[str, Any] | None = next(op for op in listed if op["id"] == row.run_id).get("waiting")
        return found


@pytest.fixture
def start(scripted: ScriptedServer, tmp_path: Path) -> Iterator[Callable[..., Family]]:
    """One start of the worker after another."""
    made: list[Family] = []

    def family(max_runs: int = 1) -> Family:
        if made:
            made[-1].close()
        made.append(Family(scripted, tmp_path / "state", {"max_runs": max_runs}))
        return made[-1]

    yield family
    made[-1].close()


@pytest.fixture
def family(start: Callable[..., Family]) -> Family:
    return start()


def test_a_run_that_waits_gives_up_its_slot_and_the_server_hears_of_it(family: Family) -> None:
    family.registered()
    parent = family.at_work("parent")
    assert family.parts.capacity.wanted == 0
    assert family.beat_says(parent) is None
    family.parts.wakes.beat.clear()
    family.waiting.begin(parent.key, 3, 8)
    family.waiting.turn()
    assert family.parts.wakes.beat.is_set()
    assert family.parts.capacity.wanted == 1
    since = family.clock.utc().isoformat().replace("+00:00", "Z")
    assert family.beat_says(parent) == {"left": 3, "of": 8, "since": since}
    assert family.server.of("beat")[-1].body["free_slots"] == 1


def test_the_workers_line_counts_those_that_wait_apart(family: Family) -> None:
    family.parent()
    family.at_work("child")
    assert "1 of 1 runs, 1 waiting for their children" in family.parts.monitoring.line()


def test_a_second_wait_changes_the_numbers_alone(family: Family) -> None:
    parent = family.parent()
    family.clock.turn(10)
    family.waiting.begin(parent.key, 5, 6)
    family.waiting.turn()
    assert family.now(parent) == parent.with_(waits_left=5, waits_of=6)


def test_the_number_of_children_is_journaled_once_a_second(family: Family) -> None:
    parent = family.parent(left=9, of=9)
    family.waiting.count(parent.key, 8)
    family.waiting.turn()
    assert family.now(parent).waits_left == 8
    family.waiting.count(parent.key, 7)
    family.waiting.count(parent.key, 6)
    assert 0 < family.waiting.turn() <= 1
    assert family.now(parent).waits_left == 8
    family.clock.turn(1)
    family.waiting.turn()
    assert family.now(parent).waits_left == 6
    family.waiting.count(parent.key, 5)
    family.waiting.come_back(parent.key, lambda: None)
    family.waiting.turn()
    assert family.now(parent).waits_left == 5, "it is not lost by the return"


def test_the_op_is_answered_once_its_run_has_a_slot_and_the_journal_says_so(family: Family) -> None:
    family.registered()
    parent = family.parent()
    child = family.at_work("child")
    answered: list[RunRow] = []
    family.waiting.come_back(parent.key, lambda: answered.append(family.now(parent)))
    family.waiting.turn()
    assert answered == []
    assert family.beat_says(parent) is not None, "the server does not count it yet"
    family.ends(child)
    family.parts.wakes.beat.clear()
    family.waiting.turn()
    (row,) = answered
    assert row.waiting_since is None
    assert family.parts.wakes.beat.is_set()
    assert family.beat_says(parent) is None


def test_its_view_says_what_it_waits_for_and_when_it_returns(family: Family) -> None:
    def view() -> RunView:
        return next(view for view in family.worker.control.snapshot().runs if view.run_id == "parent")

    family.registered()
    parent = family.parent(left=3, of=8)
    child = family.at_work("child")
    assert (view().phase, view().waits) == (Phase.WAITING, Waits(3, 8, family.clock.utc().timestamp()))
    family.waiting.come_back(parent.key, lambda: None)
    family.waiting.turn()
    assert view().phase is Phase.RETURNING
    family.ends(child)
    family.waiting.turn()
    assert (view().phase, view().waits) == (Phase.RUNNING, None)


def test_an_awake_run_is_answered_at_once(family: Family) -> None:
    """Its wait looked, and found that all has ended already."""
    row, answered = family.at_work("parent"), list[str]()
    family.waiting.come_back(row.key, lambda: answered.append("yes"))
    family.waiting.turn()
    assert answered == ["yes"]
    assert family.now(row) == row


def test_two_waits_of_one_run_are_answered_by_one_return(family: Family) -> None:
    parent, child = family.parent(), family.at_work("child")
    answered: list[str] = []
    for name in ("one", "other"):
        family.waiting.come_back(parent.key, lambda name=name: answered.append(name))  # type: ignore[misc]
    family.waiting.turn()
    family.ends(child)
    family.waiting.turn()
    assert answered == ["one", "other"]


def test_a_run_with_another_wait_open_waits_again_after_its_answer(family: Family) -> None:
    """Else two threads of an op, each with a child, would stand still on one slot."""
    parent = family.parent(left=2, of=2)
    family.waiting.come_back(parent.key, lambda: family.waiting.begin(parent.key, 1, 1))
    family.waiting.turn()
    assert family.now(parent).waits
    assert family.parts.capacity.free_slots == 1


def test_a_wait_that_is_opened_on_the_way_back_keeps_no_slot(family: Family) -> None:
    """Between the gate's word and the journal."""
    parent = family.parent()
    family.waiting.come_back(parent.key, lambda: None)
    family.waiting.begin(parent.key, 4, 4)
    family.waiting.turn()
    assert not family.now(parent).waits
    assert family.parts.gate.taken == 1


def test_a_run_that_hung_up_is_awake_and_its_answer_is_forgotten(family: Family) -> None:
    parent, child = family.parent(), family.at_work("child")
    answered: list[str] = []
    family.waiting.come_back(parent.key, lambda: answered.append("too late"))
    family.waiting.turn()
    assert family.parts.gate.is_returning(parent.key)
    family.waiting.hung_up(parent.key)
    family.waiting.turn()
    assert not family.now(parent).waits
    assert not family.parts.gate.is_returning(parent.key), "it has a slot already"
    family.ends(child)
    family.waiting.begin(parent.key, 1, 1)
    family.waiting.come_back(parent.key, lambda: answered.append("another wait"))
    family.waiting.turn()
    assert answered == ["another wait"]


@pytest.mark.parametrize("intent", [Intent.CANCEL, Intent.RELEASE])
def test_a_run_that_hangs_up_since_it_is_stopped_waits_to_its_end(family: Family, intent: Intent) -> None:
    """A beat that said that it returns would have the server forget that it makes room for its children."""
    parent = family.parent()
    family.worker.slots.intend(parent, intent, "by hand")
    family.waiting.hung_up(parent.key)
    family.waiting.turn()
    assert family.now(parent).waits
    assert family.beat_says(parent) is not None
    assert family.parts.gate.taken == 0


def test_a_return_that_is_let_in_while_it_hangs_up_takes_one_slot(family: Family) -> None:
    parent = family.parent()
    family.waiting.come_back(parent.key, lambda: None)
    family.waiting.hung_up(parent.key)
    family.waiting.turn()
    assert family.parts.gate.taken == 1
    family.waiting.begin(parent.key, 1, 1)
    family.waiting.turn()
    assert family.parts.gate.taken == 0


@pytest.mark.parametrize("over", ["cancelled", "ended", "op ended"])
def test_a_run_that_is_over_before_it_is_let_in_is_not_answered(family: Family, over: str) -> None:
    parent, child = family.parent(), family.at_work("child")
    answered: list[str] = []
    family.waiting.come_back(parent.key, lambda: answered.append("too late"))
    family.waiting.turn()
    match over:
        case "cancelled":
            family.worker.slots.intend(parent, Intent.CANCEL, "by hand")
        case "ended":
            family.ends(parent)
        case _:
            family.journal.update(parent.key, exit=Exit(1))
    family.ends(child)
    family.waiting.turn()
    assert answered == []
    assert not family.parts.gate.is_returning(parent.key)


def test_a_run_that_ends_after_it_is_let_in_frees_its_slot_unanswered(family: Family) -> None:
    parent = family.parent()
    answered: list[str] = []
    family.waiting._come_back(parent.key, lambda: answered.append("too late"))
    family.ends(parent)
    family.waiting.turn()
    assert answered == []
    assert family.parts.gate.is_returning(parent.key) is False
    child = family.row("child")
    family.parts.gate.enter(child)
    family.journal.update(child.key, step="run_container")
    assert family.parts.gate.taken == 1


def test_what_is_asked_of_a_run_that_has_ended_does_nothing(family: Family) -> None:
    row = family.at_work("parent")
    family.ends(row)
    before = family.now(row)
    family.waiting.begin(row.key, 1, 1)
    family.waiting.hung_up(row.key)
    family.waiting.count(row.key, 0)
    family.waiting.come_back(row.key, lambda: pytest.fail("answered"))
    family.waiting.begin(12345, 1, 1)
    family.waiting.turn()
    assert family.now(row) == before
    assert not family.now(row).waits


def test_a_run_that_a_claim_brings_while_its_parent_returns_stays_at_the_gate(family: Family) -> None:
    """The claim was sent while there was a slot, and answered when there was none."""
    family.registered()
    parent = family.parent()
    assert family.parts.claim_requests.next(0).max == 1
    family.waiting.come_back(parent.key, lambda: None)
    family.waiting.turn()
    cores = family.parts.context.resources.cpu_cores
    answer = Claimed([OpRun(id="child", image="op", attempt=1, lease="l", constraints={"cpu": cores})], SERVER_ID)
    assert family.parts.intake.take(answer) == 1, "it is kept"
    (child,) = family.started
    assert (child.step, family.now(child).outcome) == ("", None)
    assert family.parts.capacity.wanted == 0


def test_a_server_that_gives_more_than_there_is_still_gets_it_back(family: Family) -> None:
    family.registered()
    family.parent()
    given = [OpRun(id=f"r{number}", image="op", attempt=1, lease="l") for number in range(2)]
    assert family.parts.intake.take(Claimed(given, SERVER_ID)) == 1


def test_a_waiting_run_keeps_its_memory(family: Family) -> None:
    family.registered()
    memory_mb = family.parts.context.resources.ram_mb
    parent = family.at_work("parent", constraints={"ram_mb": memory_mb})
    family.waiting.begin(parent.key, 1, 1)
    family.waiting.turn()
    child = OpRun(id="child", image="op", attempt=1, lease="l", constraints={"ram_mb": 1})
    assert family.parts.intake.take(Claimed([child], SERVER_ID)) == 0
    assert "needs ram_mb 1" in family.said()


def test_the_time_of_a_wait_is_that_of_the_clock_that_stands_never_still(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = family.parent()
    family.clock.turn(100)
    utc = family.clock.utc
    monkeypatch.setattr(family.clock, "utc", lambda: utc() + timedelta(hours=1))
    family.waiting.come_back(parent.key, lambda: None)
    family.waiting.turn()
    assert family.now(parent).waited_s == 100
    family.waiting.begin(parent.key, 1, 1)
    family.waiting.turn()
    family.clock.turn(11)
    family.waiting.come_back(parent.key, lambda: None)
    family.waiting.turn()
    assert family.now(parent).waited_s == 111


def test_after_a_restart_it_waits_until_its_op_has_connected(start: Callable[..., Family]) -> None:
    before = start()
    parent = before.parent(left=2, of=5)
    before.clock.turn(50)
    now = before.clock.boot()
    family = start().registered()
    family.clock.turn(now + 50 - family.clock.boot())
    assert family.now(parent).waits
    assert (family.beat_says(parent) or {})["left"] == 2
    assert family.parts.gate.taken == 0
    family.waiting.begin(parent.key, 2, 5)
    family.waiting.come_back(parent.key, lambda: None)
    family.waiting.turn()
    assert family.now(parent).waited_s == pytest.approx(100, abs=0.1)
    assert not family.now(parent).waits


def test_killed_between_the_journal_and_the_answer_it_is_awake(start: Callable[..., Family]) -> None:
    before = start()
    parent = before.parent()
    before.waiting.come_back(parent.key, lambda: None)
    before.waiting.turn()
    family = start()
    assert not family.now(parent).waits
    assert family.parts.gate.taken == 1
    answered: list[str] = []
    family.waiting.come_back(parent.key, lambda: answered.append("again"))
    family.waiting.turn()
    assert answered == ["again"]


def test_killed_before_the_journal_it_waits(start: Callable[..., Family]) -> None:
    before = start()
    parent = before.parent()
    before.waiting._come_back(parent.key, lambda: pytest.fail("answered"))
    family = start()
    assert family.now(parent).waits
    assert family.parts.gate.taken == 0


def test_a_full_disk_delays_and_loses_nothing(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = family.at_work("parent")
    answered: list[str] = []
    update = family.journal.update

    def full(_key: int, **_changes: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(family.journal, "update", full)
    family.waiting.begin(parent.key, 1, 1)
    family.waiting.come_back(parent.key, lambda: answered.append("yes"))
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            family.waiting.turn()
    assert family.parts.gate.taken == 1, "it keeps its slot"
    monkeypatch.setattr(family.journal, "update", update)
    family.waiting.turn()
    assert answered == ["yes"]
    assert not family.now(parent).waits


def test_an_answer_that_fails_hurts_no_other(family: Family) -> None:
    parent, answered = family.parent(), list[str]()

    def fails() -> None:
        raise ValueError("the channel is broken")

    family.waiting.come_back(parent.key, fails)
    family.waiting.come_back(parent.key, lambda: answered.append("yes"))
    family.waiting.turn()
    assert answered == ["yes"]
    assert "parent: its op is not answered: ValueError: the channel is broken" in family.said()


def test_a_place_at_the_gate_that_was_hung_up_on_does_not_end_the_next_wait(family: Family) -> None:
    parent = family.parent()
    answers: list[str] = []
    family.waiting.come_back(parent.key, lambda: answers.append("first"))
    family.waiting.hung_up(parent.key)
    family.waiting.begin(parent.key, 1, 1)
    family.waiting.turn()
    assert family.now(parent).waits
    family.at_work("child")
    family.waiting.come_back(parent.key, lambda: answers.append("second"))
    family.waiting.turn()
    assert (family.now(parent).waits, answers) == (True, []), "the child has the slot"


def test_a_frozen_run_is_known_as_one(family: Family) -> None:
    parent = family.parent()
    assert not family.waiting.is_frozen(parent.key)
    family.journal.update(parent.key, freeze_by="ann")
    assert family.waiting.is_frozen(parent.key)
