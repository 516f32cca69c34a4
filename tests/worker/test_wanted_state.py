"""The state that the server wants against keys pressed at the worker, restarts of both, and the worker's good-bye."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from gyoza_tui.models.workers import HeartbeatReply, WorkerState
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.shutdown import EXIT_DONE
from gyoza_tui.worker.view.asked_ending import AskedEnding
from gyoza_tui.worker.view.commands import Commands
from gyoza_tui.worker.view.control import Ending
from gyoza_tui.worker.wanted_state import WantedState
from tests.clock import FakeClock
from tests.scripted_server import SERVER_ID, Reply, ScriptedServer
from tests.server.cluster import Cluster, cluster
from tests.worker.rig import Rig
from tests.worker.test_shutdown import Script

CLAIMING, PAUSED, DRAINING = WorkerState.CLAIMING, WorkerState.PAUSED, WorkerState.DRAINING
NOW: Final = "2026-03-02T20:00:00Z"


class Servers:
    """One after another on the same database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = ExitStack()
        self.gyoza: Cluster = self._open.enter_context(cluster(path))

    def restart(self) -> None:
        self.close()
        self.gyoza = self._open.enter_context(cluster(self._path))

    def close(self) -> None:
        self._open.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    made = Servers(tmp_path_factory.mktemp("server") / "db")
    yield made
    made.close()


class Following:
    """The parts of a worker that follow what is wanted, over its starts. It beats after each event while it is up."""

    def __init__(self, servers: Servers, name: str, path: Path) -> None:
        self._servers = servers
        self.name = name
        self._path = path
        self._clock = FakeClock()
        self._epochs = itertools.count(1)
        self._journal: Journal | None = None
        self.start()

    def start(self) -> None:
        if self._journal is not None:
            return
        self._journal = journal = Journal(self._path, self._clock)
        self.mode = ClaimingMode(lambda: None)
        self.wanted = WantedState(journal, self.mode, Notices(self._clock))
        self.ending = AskedEnding(self.mode, "drain")
        nothing: Any = None
        self.commands = Commands(journal, nothing, self.mode, self.wanted, nothing, nothing, self.ending, nothing)
        self._epoch = next(self._epochs)
        self.beat()

    def beat(self) -> None:
        """Again while there is news to report."""
        if self._journal is None:
            return
        report, reported = self.wanted.report, False
        while not reported or self.wanted.report != report:
            report, reported = self.wanted.report, True
            body = {
                "worker_id": self.name,
                "instance_id": self.name,
                "epoch": self._epoch,
                "state": self.mode.state,
                "features": ["wanted_state"],
                "wanted": None if report is None else report.model_dump(),
            }
            reply = self._servers.gyoza.post("/workers/heartbeat", body)
            self.wanted.hear(HeartbeatReply.model_validate(reply))
            self.ending.follow()
        self.wanted.save()

    def kill(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def bye(self) -> None:
        if self._journal is not None:
            self.kill()
            self._servers.gyoza.client.delete(f"/workers/{self.name}", params={"instance_id": self.name})

    def want(self, state: str) -> None:
        reply = self._servers.gyoza.client.patch(f"/workers/{self.name}", json={"wanted": state, "by": "anna"})
        assert reply.status_code in (200, 404), "404: no state was ever wanted of a worker that is gone"

    def shown(self) -> Any:
        return self._servers.gyoza.get(f"/workers/{self.name}")["wanted"]


class Model:
    """What is expected, in the simplest words: whatever was asked for last counts; a restart forgets what was asked
    for at the worker, and never what was asked for at the server."""

    def __init__(self) -> None:
        self.wanted: str | None = None
        self.overridden = self.heard = False
        self.paused = self.draining = False
        self.up = self.known = True

    @property
    def state(self) -> str:
        if self.draining or (self.wanted == DRAINING and not self.overridden):
            return DRAINING
        return PAUSED if self.paused else CLAIMING

    def want(self, state: str) -> None:
        if self.known or self.wanted is not None:
            self.wanted, self.overridden, self.heard = state, False, False
            self._hear()

    def _hear(self) -> None:
        if self.up and not self.heard and self.wanted is not None:
            self.heard = True
            if self.wanted != DRAINING:
                self.paused = self.wanted == PAUSED

    def key(self, against: str, **local: bool) -> None:
        self.start()
        self.overridden = self.overridden or self.wanted == against
        self.__dict__.update(local)

    def start(self) -> None:
        if not self.up:
            self.up = self.known = True
            self.paused = self.draining = False
            if self.heard and not self.overridden:
                self.wanted = PAUSED if self.wanted == DRAINING else self.wanted
                self.paused = self.wanted == PAUSED
            self._hear()

    def kill(self) -> None:
        self.up = False

    def bye(self) -> None:
        if self.up:
            self.up = self.known = False


def _key(press: Callable[[Following], None], against: str, **local: bool) -> Any:
    def pressed(worker: Following) -> None:
        worker.start()
        press(worker)

    return pressed, lambda model: model.key(against, **local)


def _want(state: str) -> Any:
    return lambda worker: worker.want(state), lambda model: model.want(state)


EVENTS: Final[dict[str, tuple[Callable[[Following], None], Callable[[Model], None]]]] = {
    **{f"server: {state}": _want(state) for state in (CLAIMING, PAUSED, DRAINING)},
    "key: pause": _key(lambda worker: worker.commands.pause(), CLAIMING, paused=True),
    "key: resume": _key(lambda worker: worker.commands.resume(), PAUSED, paused=False),
    "key: drain": _key(lambda worker: worker.commands.end(Ending.DRAIN), CLAIMING, draining=True),
    "key: undo": _key(lambda worker: worker.commands.undo_drain(), DRAINING, draining=False),
    "kill": (Following.kill, Model.kill),
    "good-bye": (Following.bye, Model.bye),
    "server restarts": (lambda worker: worker._servers.restart(), lambda model: None),
}
"""Each with what it does to the model."""


def _check(servers: Servers, name: str, path: Path, events: Sequence[str]) -> None:
    worker, model = Following(servers, name, path), Model()
    for event in events:
        happens, expected = EVENTS[event]
        happens(worker)
        expected(model)
        worker.beat()
    worker.start()
    model.start()
    shown = worker.shown()
    worker.kill()
    assert worker.mode.state == model.state, events
    assert worker.ending.now is (Ending.DRAIN if model.state == DRAINING else None), events
    assert (shown and shown["state"]) == model.wanted, events
    answer = None if model.wanted is None else "overridden" if model.overridden else "applied"
    assert (shown and shown["answer"]) == answer, events


@pytest.mark.parametrize("between", [(), ("kill",)], ids=["", "restarted between"])
def test_two_events_in_every_order(servers: Servers, between: tuple[str, ...], tmp_path: Path) -> None:
    for number, (first, second) in enumerate(itertools.product(EVENTS, repeat=2)):
        _check(servers, f"{len(between)}-{number}", tmp_path / f"{number}.db", [first, *between, second])


@pytest.mark.long
@pytest.mark.parametrize("first", EVENTS)
def test_three_events_in_every_order(servers: Servers, first: str, tmp_path: Path) -> None:
    for number, rest in enumerate(itertools.product(EVENTS, repeat=2)):
        _check(servers, f"{list(EVENTS).index(first)}-{number}", tmp_path / f"{number}.db", [first, *rest])


# In a whole worker


def _beat(state: str, seq: int = 1) -> Reply:
    wanted = {"state": state, "seq": seq, "by": "anna", "since": NOW}
    body = {"protocol": 1, "lease_s": 30, "grace_s": 300, "heartbeat_s": 5, "server_id": SERVER_ID, "wanted": wanted}
    return Reply(body)


@pytest.mark.parametrize(("state", "most"), [("claiming", 4), ("paused", 0), ("draining", 0)])
def test_nothing_is_claimed_before_the_first_answer_and_then_as_it_wants(
    rig: Rig, scripted: ScriptedServer, state: str, most: int
) -> None:
    """The claim comes right after the beat, before any other duty has its turn."""
    scripted.defaults["beat"] = _beat(state)
    rig.parts.pool.check()
    rig.claim.step()
    assert scripted.of("claim") == []
    rig.heartbeat.step()
    rig.claim.step()
    assert [claim.body["max"] for claim in scripted.of("claim")] == [most]


def test_the_next_beat_reports_what_was_done(rig: Rig, scripted: ScriptedServer) -> None:
    scripted.defaults["beat"] = _beat("paused")
    rig.beat()
    assert rig.parts.wakes.beat.is_set(), "it goes out at once"
    rig.beat()
    rig.worker.control.resume()
    rig.beat()
    first, second, third = scripted.of("beat")
    assert "wanted_state" in first.body["features"]
    assert first.body.get("wanted") is None
    assert (second.body["state"], second.body["wanted"]) == ("paused", {"seq": 1, "answer": "applied"})
    assert (third.body["state"], third.body["wanted"]) == ("claiming", {"seq": 1, "answer": "overridden"})
    assert "paused by anna at the server" in rig.said()
    assert "anna wants this worker paused at the server: overridden here" in rig.said()


@pytest.mark.parametrize("saved_by", ["verdicts", "close"])
def test_what_was_overridden_is_not_applied_by_the_next_start(
    scripted: ScriptedServer, tmp_path: Path, saved_by: str
) -> None:
    scripted.defaults["beat"] = _beat("paused")
    first = Rig(scripted, tmp_path / "state")
    first.heartbeat.step()
    first.worker.control.resume()
    if saved_by == "verdicts":
        first.verdicts.step()
        first.journal.close()
    first.close()
    second = Rig(scripted, tmp_path / "state")
    second.beat()
    assert second.parts.mode.state == CLAIMING
    second.close()


def test_a_drain_that_an_earlier_start_applied_leaves_a_pause(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.defaults["beat"] = _beat("draining")
    states, reports = [], []
    for _ in range(2):
        rig = Rig(scripted, tmp_path / "state")
        rig.beat()
        rig.beat()
        states.append(rig.parts.mode.state)
        reports.append(scripted.of("beat")[-1].body["wanted"])
        rig.close()
    assert states == [DRAINING, PAUSED]
    assert reports == [{"seq": 1, "answer": "applied"}, {"seq": 1, "answer": "drained"}]


def test_another_servers_wish_is_another(rig: Rig, scripted: ScriptedServer) -> None:
    scripted.defaults["beat"] = _beat("paused")
    rig.beat()
    rig.worker.control.resume()
    other = _beat("paused")
    scripted.defaults["beat"] = Reply(other.body | {"server_id": "another"})
    rig.beat()
    assert rig.parts.mode.state == PAUSED
    scripted.defaults["beat"] = _beat("paused")
    rig.worker.control.resume()
    rig.beat()
    assert rig.parts.mode.state == CLAIMING, "it was overridden for this one"


def _ends(rig: Rig, *steps: Any) -> int:
    rig.worker.signals.next = Script(rig, *steps).next  # type: ignore[method-assign]
    return rig.parts.shutdown.wait()


def test_a_wanted_drain_ends_the_worker_when_its_runs_have(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    seen: list[Any] = []

    def hear() -> None:
        scripted.defaults["beat"] = _beat("draining")
        rig.beat()

    def look() -> None:
        seen.append((rig.parts.mode.state, len(scripted.of("delete"))))

    def finish() -> None:
        rig.end(row)
        rig.deliver_for(0)

    assert _ends(rig, hear, look, look, finish) == EXIT_DONE
    assert seen == [(DRAINING, 0)] * 2
    assert len(scripted.of("delete")) == 1


def test_the_server_undoes_its_own_drain_and_none_that_was_asked_for_here(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered().row()
    seen: list[Any] = []

    def hears(state: str, seq: int) -> Callable[[], None]:
        def hear() -> None:
            scripted.defaults["beat"] = _beat(state, seq)
            rig.beat()

        return hear

    def look() -> None:
        seen.append(rig.parts.mode.state)

    sigterm = 15
    steps: list[Any] = [hears("draining", 1), look, hears("claiming", 2), look]
    steps += [hears("draining", 3), look, sigterm, hears("claiming", 4), look]
    _ends(rig, *steps, lambda: rig.parts.ending.ask(Ending.LEAVE))
    assert seen == [DRAINING, CLAIMING, DRAINING, DRAINING]
