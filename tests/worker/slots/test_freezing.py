"""Freezing and thawing as the server, a person here, or somebody outside wants it: each once, journaled, told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.backends.base import BackendUnavailable
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.workers import Feature
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.view.phase import Phase
from gyoza_tui.worker.view.run_views import view_of
from tests.scripted_server import SERVER_ID, Reply, Request, ScriptedServer, refusal
from tests.waiting import until
from tests.worker.fake_backend import FakeOp
from tests.worker.rig import Rig


class TurnedClock(SystemClock):
    """The real one, which a test puts forward."""

    ahead_s = 0.0

    def boot(self) -> float:
        return super().boot() + self.ahead_s

    def utc(self) -> datetime:
        return super().utc() + timedelta(seconds=self.ahead_s)


class Wishes:
    """A server that wants what the test says, of every run that a beat lists."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.verdict: dict[str, Any] = {"verdict": "ok"}
        self.features = [Feature.FREEZE.value]
        server.defaults["beat"] = self._answer
        server.defaults["patch"] = self._take

    def want(self, *, frozen: bool, by: str = "anna") -> None:
        self.verdict = {"verdict": "ok"} | ({"want": "frozen", "want_by": by} if frozen else {})

    def _answer(self, request: Request) -> Reply:
        known = {"protocol": 1, "lease_s": 30, "grace_s": 300, "heartbeat_s": 5, "server_id": SERVER_ID}
        runs = {op["id"]: self.verdict for op in request.body["running_ops"]}
        return Reply(known | {"features": self.features, "runs": runs})

    def _take(self, request: Request) -> Reply:
        self.want(frozen=request.body["frozen"], by=request.body["by"])
        return Reply({"id": "r1", "image": "op"})

    def told(self) -> list[tuple[bool, str]]:
        patches = [request.body for request in self.server.of("patch")]
        return [(patch["frozen"], patch["by"]) for patch in patches if "frozen" in patch]

    def reported(self) -> list[bool]:
        """Of each beat that lists a run, whether it is frozen."""
        listed = [request.body["running_ops"] for request in self.server.of("beat")]
        return [ops[0].get("frozen") is not None for ops in listed if ops]


@pytest.fixture
def wishes(scripted: ScriptedServer) -> Wishes:
    return Wishes(scripted)


@pytest.fixture
def rig(wishes: Wishes, tmp_path: Path) -> Iterator[Rig]:
    """Its slots run threads, as in a worker."""
    made = Rig(wishes.server, tmp_path / "state", {"stop_grace_s": 0}, clock=TurnedClock())
    del made.worker.slots.start
    made.backend.known["op"] = FakeOp(ends_at_once=False)
    made.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    yield made
    made.close()
    made.backend.known["op"].go.set()


def running(rig: Rig, **run: Any) -> RunRow:
    row = rig.registered().row(**run)
    rig.worker.slots.start(row)
    until(lambda: rig.now(row).started_at, "its op runs")
    return row


def frozen(rig: Rig, row: RunRow) -> bool:
    """In the journal and at the backend."""
    recorded = rig.now(row).frozen_since is not None
    return recorded and row.name in rig.backend.paused


def thawed(rig: Rig, row: RunRow) -> bool:
    now = rig.now(row)
    return not now.frozen and row.name not in rig.backend.paused


def test_what_the_server_wants_is_done_and_reported(rig: Rig, wishes: Wishes) -> None:
    row = running(rig)
    rig.beat()
    assert wishes.reported() == [False]
    rig.parts.wakes.beat.clear()
    wishes.want(frozen=True)
    rig.beat()
    until(lambda: frozen(rig, row), "it is frozen")
    assert rig.now(row).freeze_by == "anna"
    assert view_of(rig.now(row)).phase is Phase.FROZEN
    assert rig.parts.wakes.beat.is_set(), "the server is to know it at once"
    rig.beat()
    assert wishes.reported()[-1]
    wishes.want(frozen=False)
    rig.beat()
    until(lambda: thawed(rig, row), "it goes on")
    rig.beat()
    assert not wishes.reported()[-1]
    assert wishes.told() == [], "the wish was the server's own"
    assert "r1: anna wants it frozen" in rig.said()


def test_a_server_that_knows_no_freezing_thaws_nothing(rig: Rig, wishes: Wishes) -> None:
    row = running(rig)
    wishes.features = []
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
    until(lambda: frozen(rig, row), "it is frozen")
    rig.beat()
    rig.reconcile.step()
    assert frozen(rig, row)
    assert wishes.told() == []


def test_a_server_that_knows_freezing_no_more_thaws_nothing(rig: Rig, wishes: Wishes) -> None:
    row = running(rig)
    wishes.want(frozen=True)
    rig.beat()
    until(lambda: frozen(rig, row), "it is frozen")
    wishes.want(frozen=False)
    wishes.features = []
    rig.beat()
    assert rig.now(row).freeze_by == "anna"


def test_the_wish_is_in_the_journal_before_the_container_is_touched(rig: Rig) -> None:
    row = running(rig)
    seen: list[RunRow] = []
    real_freeze, real_thaw = rig.backend.freeze, rig.backend.thaw

    def freeze(handle: dict[str, Any]) -> None:
        seen.append(rig.now(row))
        real_freeze(handle)

    def thaw(handle: dict[str, Any]) -> None:
        seen.append(rig.now(row))
        real_thaw(handle)

    rig.backend.freeze, rig.backend.thaw = freeze, thaw  # type: ignore[method-assign]
    for wanted, done in ((True, frozen), (False, thawed)):
        rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=wanted)
        until(lambda done=done: done(rig, row), "done")  # type: ignore[misc]
    assert [(each.freeze_by, each.thaw_asked, each.frozen_since is None) for each in seen] == [
        ("carl", False, True),
        ("", True, False),
    ]


def test_the_next_start_does_what_the_last_one_was_killed_before(rig: Rig) -> None:
    row = running(rig)
    rig.close()
    again = Rig(rig.server, rig.state, clock=TurnedClock(), backends={"docker": rig.backend})
    del again.worker.slots.start
    again.journal.update(row.key, freeze_by="anna")
    again.worker.slots.start(again.now(row))
    until(lambda: again.now(row).frozen_since, "it is frozen")
    assert row.name in rig.backend.paused
    again.close()
    last = Rig(rig.server, rig.state, clock=TurnedClock(), backends={"docker": rig.backend})
    del last.worker.slots.start
    last.journal.update(row.key, freeze_by="", thaw_asked=True)
    last.worker.slots.start(last.now(row))
    until(lambda: not last.now(row).frozen, "it goes on")
    assert row.name not in rig.backend.paused
    last.close()


@pytest.mark.parametrize("wanted", [True, False])
def test_it_is_tried_until_the_engine_agrees(rig: Rig, wanted: bool) -> None:
    row = running(rig)
    if not wanted:
        rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
        until(lambda: frozen(rig, row), "it is frozen")
    method = "freeze" if wanted else "thaw"
    failing = threading.Event()
    real = getattr(rig.backend, method)

    def unwilling(handle: dict[str, Any]) -> None:
        if not failing.is_set():
            raise BackendUnavailable("unable to do that")
        real(handle)

    setattr(rig.backend, method, unwilling)
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=wanted)
    until(lambda: rig.worker.slots.again(row.key), "it is to be tried again")
    assert rig.now(row).frozen, "it is not known to go on"
    assert rig.now(row).frozen_since is None if wanted else rig.now(row).frozen_since is not None
    failing.set()
    until(lambda: frozen(rig, row) if wanted else thawed(rig, row), "the engine agrees")
    assert rig.worker.slots.again(row.key) is None
    assert rig.said().count("unable to do that") == 1


def test_a_cancel_of_what_does_not_freeze_waits_for_nothing(rig: Rig) -> None:
    row = running(rig)
    rig.backend.freeze = lambda handle: (_ for _ in ()).throw(BackendUnavailable("no"))  # type: ignore[method-assign]
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
    until(lambda: rig.worker.slots.again(row.key), "it is to be tried again")
    rig.worker.slots.intend(rig.now(row), Intent.CANCEL, "by a test")
    until(lambda: rig.now(row).outcome is Outcome.CANCELLED, "it is cancelled")


def test_frozen_time_does_not_count_towards_the_limit(rig: Rig) -> None:
    row = running(rig, timeout_s=600)
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
    until(lambda: frozen(rig, row), "it is frozen")
    rig.clock.ahead_s += 3600
    rig.worker.slots.wake(row.key)
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=False)
    until(lambda: thawed(rig, row), "it goes on")
    assert rig.now(row).frozen_s == pytest.approx(3600, abs=30)
    rig.clock.ahead_s += 400
    rig.worker.slots.wake(row.key)
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
    until(lambda: frozen(rig, row), "it was still at work, and is frozen again")
    assert not rig.now(row).timed_out
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=False)
    until(lambda: thawed(rig, row), "it goes on")
    rig.clock.ahead_s += 300
    rig.worker.slots.wake(row.key)
    until(lambda: rig.now(row).timed_out, "its time is over")


def test_a_frozen_run_that_ends_is_not_frozen_any_more(rig: Rig) -> None:
    """As when its engine was stopped."""
    row = running(rig)
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
    until(lambda: frozen(rig, row), "it is frozen")
    rig.clock.ahead_s += 100
    rig.backend.known["op"].go.set()
    until(lambda: rig.now(row).outcome, "its end")
    assert rig.now(row).frozen_since is None
    assert rig.now(row).frozen_s == pytest.approx(100, abs=30)


def test_what_was_wanted_here_is_told_to_the_server_once(rig: Rig, wishes: Wishes) -> None:
    row = running(rig)
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
    assert rig.parts.wakes.reconcile.is_set()
    wishes.server.script("patch", refusal(503))
    rig.beat()
    rig.reconcile.step()
    assert rig.now(row).freeze_untold, "it is told again"
    for _ in range(3):
        rig.reconcile.step()
        rig.beat()
    assert wishes.told() == [(True, "carl")] * 2
    until(lambda: frozen(rig, row), "it is frozen")
    wishes.want(frozen=False)
    rig.beat()
    until(lambda: thawed(rig, row), "the server wants it to go on, which is later")


def test_a_server_that_refuses_to_know_it_is_not_told_again(rig: Rig, wishes: Wishes) -> None:
    row = running(rig)
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
    wishes.server.defaults["patch"] = refusal(409, "invalid")
    rig.beat()
    rig.reconcile.step()
    rig.reconcile.step()
    assert wishes.told() == [(True, "carl")]
    assert not rig.now(row).freeze_untold


def test_the_last_one_wins(rig: Rig, wishes: Wishes) -> None:
    row = running(rig)
    wishes.want(frozen=True)
    rig.beat()
    until(lambda: frozen(rig, row), "the server wants it frozen")
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=False)
    until(lambda: thawed(rig, row), "a person here lets it go on")
    rig.beat()
    assert thawed(rig, row), "the server wants what it wanted before"
    wishes.want(frozen=False)
    rig.beat()
    wishes.want(frozen=True, by="dora")
    rig.beat()
    until(lambda: frozen(rig, row), "the server wants it anew")
    assert not rig.now(row).freeze_untold


def test_an_unpause_by_hand_is_noticed_said_and_told(rig: Rig, wishes: Wishes) -> None:
    row = running(rig)
    wishes.want(frozen=True)
    rig.beat()
    until(lambda: frozen(rig, row), "it is frozen")
    rig.clock.ahead_s += 50
    rig.backend.paused.clear()
    rig.parts.wakes.beat.clear()
    rig.reconcile.step()
    assert thawed(rig, row)
    assert rig.now(row).frozen_s == pytest.approx(50, abs=30)
    assert rig.parts.wakes.beat.is_set()
    assert "goes on; it had been frozen by anna" in rig.said()
    assert wishes.told() == [(False, "worker w1")]
    wishes.want(frozen=True)
    rig.beat()
    assert thawed(rig, row), "that answer was on its way"
    wishes.want(frozen=False)
    rig.beat()
    wishes.want(frozen=True)
    rig.beat()
    until(lambda: frozen(rig, row), "it is wanted anew")


def test_a_look_that_is_late_changes_nothing(rig: Rig) -> None:
    row = running(rig)
    real = rig.backend.frozen

    def late(labels: dict[str, str]) -> frozenset[str]:
        seen = real(labels)
        rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
        until(lambda: frozen(rig, row), "it is frozen meanwhile")
        return seen

    rig.backend.frozen = late  # type: ignore[method-assign, assignment]
    rig.reconcile.step()
    assert frozen(rig, row)
    assert "goes on" not in rig.said()


def test_the_log_tells_when_it_stood_still(rig: Rig) -> None:
    row = running(rig)
    for wanted, done in ((True, frozen), (False, thawed)):
        rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=wanted)
        until(lambda done=done: done(rig, row), "done")  # type: ignore[misc]
    services = rig.worker.slots._services(row.key)
    assert services is not None
    until(lambda: b"thawed" in b"".join(services.spool.raw()), "the log says so")
    assert b"frozen by carl" in b"".join(services.spool.raw())


@pytest.mark.parametrize(
    ("waiting_since", "expected"), [(None, 100.0), (50.0, 0.0), (140.0, 40.0)], ids=["never", "before", "meanwhile"]
)
def test_time_that_it_waits_too_is_counted_once(waiting_since: float | None, expected: float, rig: Rig) -> None:
    from gyoza_tui.worker.journal.frozen_time import thawed as changes

    row = rig.row().with_(frozen_since=100.0, waiting_since=waiting_since)
    assert changes(row, 200.0)["frozen_s"] == expected


@pytest.mark.parametrize("way", ["by us", "from outside"])
def test_a_frozen_parent_is_let_in_when_it_is_thawed(rig: Rig, way: str) -> None:
    row = running(rig)
    rig.parts.waiting_runs.begin(row.key, 1, 1)
    rig.parts.waiting_runs.turn()
    rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=True)
    until(lambda: frozen(rig, row), "it is frozen while it waits")
    answered = threading.Event()
    rig.parts.waiting_runs.come_back(row.key, answered.set)
    rig.parts.waiting_runs.turn()
    rig.parts.gate.look()
    rig.parts.waiting_runs.turn()
    assert not answered.is_set()
    assert rig.now(row).waits
    if way == "by us":
        rig.parts.freeze_wishes.ask(rig.now(row), "carl", frozen=False)
    else:
        rig.backend.paused.clear()
        rig.reconcile.step()
    until(lambda: thawed(rig, row), "it goes on")

    def is_answered() -> bool:
        rig.parts.waiting_runs.turn()
        return answered.is_set()

    until(is_answered, "it is answered")
