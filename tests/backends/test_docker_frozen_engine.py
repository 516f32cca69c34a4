"""An engine that is restarted while a container is frozen: without live-restore it ends it, with it nothing changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.backends.base import AttemptPhase
from tests.backends.docker_ops import DockerOps
from tests.engine import PrivateEngine
from tests.waiting import until

pytestmark = pytest.mark.docker
_OP = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"


@pytest.fixture
def ops(private_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerOps:
    monkeypatch.setenv("DOCKER_HOST", private_engine.host)
    return DockerOps(tmp_path)


def test_without_live_restore_its_end_is_the_machines_fault(ops: DockerOps, private_engine: PrivateEngine) -> None:
    handle = ops.started(_OP)
    until(lambda: private_engine.client().logs(handle["id"]), "it is up")
    ops.backend.freeze(handle)
    private_engine.stop()
    private_engine.start()
    end = ops.ended(handle)
    assert end.machine_fault is not None, end
    assert ops.backend.frozen(ops.labels) == frozenset()
    ops.backend.thaw(handle)
    ops.close()


def test_with_live_restore_it_stays_frozen(ops: DockerOps, private_engine: PrivateEngine) -> None:
    private_engine.stop()
    private_engine.live_restore = True
    private_engine.start()
    handle = ops.started(_OP)
    until(lambda: private_engine.client().logs(handle["id"]), "it is up")
    ops.backend.freeze(handle)
    private_engine.stop()
    private_engine.start()
    assert ops.backend.state(handle) is AttemptPhase.RUNNING
    assert ops.backend.frozen(ops.labels) == {handle["name"]}
    ops.backend.thaw(handle)
    assert ops.backend.frozen(ops.labels) == frozenset()
    ops.backend.freeze(handle)
    ops.backend.stop(handle, 10)
    assert ops.ended(handle).code == 7
    ops.close()
