"""The verbs of a day against a server and a worker at work: what a person types, from the first look to the retry."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest
from pydantic import TypeAdapter

from gyoza_tui.models.definitions import OpDefinition
from gyoza_tui.models.runs import OpRun, TopicEvent
from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import WorkerView
from tests.blackbox.house import House, WorkerProcess
from tests.cli.conftest import Verb
from tests.commands import Started
from tests.servers import KEY
from tests.waiting import until

TALKS = """
echo begun; echo to-stderr >&2; echo '{"type": "PROGRESS", "msg": 42}'
until [ -e "$GATE" ]; do sleep 0.05; done
echo ended; echo '{"twice": 84}' > "$GYOZA_OUTPUT_JSON"
"""
FAILS_ONCE = """
echo "attempt $GYOZA_ATTEMPT"; [ "$GYOZA_ATTEMPT" != 1 ] && exit; echo 'no such thing' >&2; exit 7
"""


class Desk:
    """A person beside a worker, and how they type."""

    def __init__(self, house: House, worker: WorkerProcess, verb: Verb) -> None:
        self.house = house
        self.worker = worker
        self._verb = verb

    @property
    def env(self) -> dict[str, str]:
        return {"GYOZA_SERVER_URL": self.house.url, "GYOZA_API_KEY": KEY, "GYOZA_WORKER_ID": self.worker.id}

    def __call__(self, *arguments: str, code: int = 0) -> str:
        said = self._verb(*arguments)
        assert said.code == code, said.out + said.err
        return said.out if code == 0 else said.err

    def started(self, *arguments: str, name: str = "out") -> Started:
        return Started(self.house.root, *arguments, env=self.env, name=name)


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("desk")) as house:
        gate = house.root / "gate"
        house.op("talks", "/bin/sh", "-c", f"GATE={gate}; {TALKS}")
        house.op("fails-once", "/bin/sh", "-c", FAILS_ONCE)
        house.worker(2)
        yield house


@pytest.fixture
def desk(staffed: House, verb: Verb, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(staffed, staffed.workers[0], verb)
    for name, value in (made.env | {"GYOZA_STATE_DIR": str(staffed.root / "state")}).items():
        monkeypatch.setenv(name, value)
    return made


def test_a_run_at_work_is_seen_by_every_verb(desk: Desk) -> None:
    house, gate = desk.house, desk.house.root / "gate"
    house.client.upsert_definition(
        OpDefinition.model_validate(
            {
                "id": "talk",
                "version": "1.0",
                "image": "local://talks",
                "input_specs": {"n": {"type": "int", "required": False, "default": 42}},
                "event_delivery": {"topic": "nightly"},
            }
        )
    )
    assert "n: int = 42" in desk("definitions")
    assert TypeAdapter(list[OpDefinition]).validate_json(desk("definitions", "talk", "--json"))[0].id == "talk"
    run = house.client.create_run_from_definition("talk", {})
    with (
        desk.started("logs", run.id, "-f", name="follow") as follow,
        desk.started("runs", "--watch", "op:talk", name="watch") as watch,
        desk.started("events", "-t", "nightly", "-f", "--json", name="feed") as feed,
    ):
        house.until_state(run, RunState.RUNNING)
        until(lambda: b"begun" in house.workers[0].log(run), "the op's first words")
        until(lambda: desk("logs", run.id[:8], "--stderr") == "to-stderr\n", "what it says to stderr")
        assert desk("logs", run.id[:8], "--tail", "1", "--grep", "^beg") == "begun\n"
        until(lambda: house.client.get_run(run.id).progress == 42, "the progress")
        (listed,) = desk("runs", "state:running", "--worker", desk.worker.id).splitlines()[1:]
        assert listed.split()[:2] == ["RUNNING", run.id[:8]]
        assert "talk@1.0" in listed
        assert "42%" in listed
        until(lambda: run.id[:8] in desk("workers"), "the worker's beat")
        (worker,) = TypeAdapter(list[WorkerView]).validate_json(desk("workers", "--json"))
        assert [op.id for op in worker.running_ops] == [run.id]
        at_work = f"run {run.id} attempt 1: run container, local://talks"
        until(lambda: at_work in desk("workers", desk.worker.id), "the beat after the step began")
        assert re.search(r"steps: inputs \S+s,.* container goes on", desk("show", run.id))
        gate.touch()
        assert follow.process.wait(20) == 0
        assert sorted(follow.out.read_text().splitlines()) == sorted(
            ["begun", "to-stderr", '{"type": "PROGRESS", "msg": 42}', "ended"]
        )
        house.ended(run)
        until(lambda: f"COMPLETED  {run.id[:8]}" in watch.out.read_text(), "the end in the watched list")
        until(lambda: '"COMPLETED"' in feed.out.read_text(), "the end in the feed")
        for each in (watch, feed):
            each.process.send_signal(signal.SIGINT)
            assert each.process.wait(20) == 130
        kinds = [TopicEvent.model_validate_json(line).type.value for line in feed.out.read_text().splitlines()]
        assert kinds == ["ASSIGNED", "STARTED", "PROGRESS", "COMPLETED"]
    shown = desk("show", run.id[:8])
    assert "twice = 84" in shown
    assert f"attempt 1: COMPLETED on {desk.worker.id}" in shown
    assert OpRun.model_validate_json(desk("show", run.id, "--json")).outputs == {"twice": 84}


def test_what_failed_is_retried_and_its_attempts_told_apart(desk: Desk) -> None:
    run = desk.house.client.create_run("local://fails-once", event_delivery={"topic": "mended"})
    assert desk.house.ended(run).state is RunState.FAILED
    assert run.id[:8] in desk("runs", "--failed", "--since", "1h", "op:fails")
    shown = desk("show", run.id)
    assert "failed: op_error, exit 7" in shown
    assert "    | no such thing" in shown
    assert "this would retry 1 run: 1 FAILED" in desk("retry", "--failed", "--topic", "mended", code=2)
    retried = desk("retry", "--failed", "--topic", "mended", "--yes")
    assert re.fullmatch(f"{run.id} (PENDING|ASSIGNED), attempt 2\n", retried), "its worker may be waiting for it"
    assert desk.house.ended(run).state is RunState.COMPLETED
    assert desk("logs", run.id) == "attempt 2\n"
    assert desk("logs", run.id, "--attempt", "1", "--grep", "attempt") == "attempt 1\n"
    assert "attempt 2: COMPLETED" in desk("show", run.id)


def test_runs_that_wait_are_put_forward_and_cancelled_together(desk: Desk) -> None:
    client = desk.house.client
    waiting = [client.create_run("local://nobody-has-it", event_delivery={"topic": "bulk"}).id for _ in range(3)]
    assert desk("priority", waiting[0], "9") == f"{waiting[0]} priority 9\n"
    assert client.get_run(waiting[0]).priority == 9
    assert "no worker" in desk("show", waiting[0]) or "waits" in desk("show", waiting[0])
    assert len(desk("cancel", "topic:bulk", "--yes").splitlines()) == 3
    cancelled = TypeAdapter(list[OpRun]).validate_json(desk("runs", "topic:bulk", "--json"))
    assert [(run.id, run.state) for run in cancelled] == [(each, RunState.CANCELLED) for each in reversed(waiting)]
    assert "already CANCELLED" in desk("cancel", waiting[0], code=1)
