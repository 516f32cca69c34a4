"""An engine that is restarted while a run waits in a container of it for another one there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

import gyoza_tui.op
from gyoza_tui.models.definitions import OpDefinition
from gyoza_tui.models.failures import MACHINE_REASONS
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import House, events_of
from tests.engine import PrivateEngine
from tests.images import BUSYBOX, PYTHON, build
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

PARENT = """
import json, os, sys, types
given = json.load(open(os.environ["GYOZA_INPUT_JSON"]))
gyoza_op = types.ModuleType("gyoza_op")
exec(given["helper"], gyoza_op.__dict__)
children = [gyoza_op.submit(f"{name}@1") for name in ("quick", "gated")]
gyoza_op.wait(children)
gyoza_op.outputs(states=[child.state() for child in children])
"""


class Family:
    """A parent that waits for a child that has completed, and for one that goes on until its gate is opened."""

    def __init__(self, house: House, engine: docker.APIClient) -> None:
        self._house = house
        self._engine = engine
        for name, script in (("quick", "true"), ("gated", "until [ -e /gate ]; do sleep 0.1; done")):
            command = ["sh", "-c", script]
            house.client.upsert_definition(OpDefinition(id=name, version="1", image=BUSYBOX, command=command))
        self.worker = house.worker(2)
        helper = Path(gyoza_tui.op.__file__).read_text()
        command = ["python3", "-c", PARENT]
        self.parent = house.client.create_run(PYTHON, {"helper": helper}, command=command, may_submit="definitions")
        until(self._half_way, "one child has completed, the other runs, and the parent waits", 60)

    def _half_way(self) -> bool:
        states = {name: child.state for name, child in self.children().items()}
        waits = self._house.client.get_run(self.parent.id).waiting
        return waits is not None and states == {"quick": RunState.COMPLETED, "gated": RunState.RUNNING}

    def children(self) -> dict[str, OpRun]:
        listed = self._house.client.list_runs(parent=self.parent.id).items
        assert len(listed) <= 2, "no child twice"
        return {str(run.op_definition): self._house.client.get_run(run.id) for run in listed}

    def open_gate(self) -> None:
        until(self._opened, "the gate of a container that runs is open", 60)

    def _opened(self) -> bool:
        label = f"gyoza.run={self.children()['gated'].id}"
        for found in self._engine.containers(filters={"label": label}):
            self._engine.exec_start(self._engine.exec_create(found["Id"], ["touch", "/gate"])["Id"])
            return True
        return False

    def attempts(self) -> dict[str, int]:
        """Of each run, once the parent has completed."""
        done = self._house.ended(self.parent, 120)
        assert (done.state, done.outputs) == (RunState.COMPLETED, {"states": ["COMPLETED", "COMPLETED"]})
        runs = {"parent": done} | self.children()
        for run in runs.values():
            for failed in events_of(run, EventType.FAILED):
                assert failed.payload is not None
                assert failed.payload["reason"] in MACHINE_REASONS, failed
        self._house.until_free(self.worker)
        return {name: run.current_attempt for name, run in runs.items()}


@pytest.fixture
def family(request: pytest.FixtureRequest, private_engine: PrivateEngine, tmp_path: Path) -> Iterator[Family]:
    live_restore = request.param
    if live_restore:
        private_engine.stop()
        private_engine.live_restore = True
        private_engine.start()
    request.getfixturevalue("monkeypatch").setenv("DOCKER_HOST", private_engine.host)
    with closing(private_engine.client()) as engine, House(tmp_path) as house:
        build(engine)
        house.engine = engine
        yield Family(house, engine)


@pytest.mark.parametrize("family", [False], indirect=True)
def test_without_live_restore_the_next_attempt_finds_its_children(
    family: Family, private_engine: PrivateEngine
) -> None:
    private_engine.stop()
    private_engine.start()
    family.open_gate()
    assert family.attempts() == {"parent": 2, "quick": 1, "gated": 2}


@pytest.mark.parametrize("family", [True], indirect=True)
def test_with_live_restore_they_go_on(family: Family, private_engine: PrivateEngine) -> None:
    private_engine.stop()
    private_engine.start()
    family.open_gate()
    assert family.attempts() == {"parent": 1, "quick": 1, "gated": 1}
