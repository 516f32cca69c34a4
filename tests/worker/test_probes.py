"""What starts nothing although it answers: how long it stays in trouble, and what ends that."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.backends.base import Spec
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.probes import Prober, Probes, Subject
from tests.clock import FakeClock
from tests.worker.fake_backend import FakeBackend

CPU = Subject("op")


def _gpu(index: int) -> Subject:
    return Subject("op", GpuInfo(index=index, uuid=f"GPU-{index}", name=None, memory_total_mb=None))


class _Machine:
    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.backend = FakeBackend()
        self.notices = Notices(self.clock)
        probes = Probes(self.clock, self.notices, Prober(directory, "w1", "i1"))
        self.pool = BackendPool({"docker": self.backend}, self.notices, probes)
        self.pool.check()

    def fault(self, subject: Subject = CPU) -> str | None:
        return self.pool.fault("docker", subject)

    def probes_within(self, seconds: float) -> list[float]:
        """When the reconcile duty's looks made probes, in seconds from now."""
        began, made = self.clock.boot(), []
        while self.clock.boot() < began + seconds:
            before = len(self.backend.probed)
            self.pool.check()
            if len(self.backend.probed) > before:
                made.append(self.clock.boot() - began)
            self.clock.turn(1.0)
        return made

    def said(self) -> list[str]:
        return [notice.text for notice in self.notices.recent()]


@pytest.fixture
def machine(tmp_path: Path) -> _Machine:
    return _Machine(tmp_path)


def test_an_engine_in_health_leaves_the_fault_with_the_run(machine: _Machine, tmp_path: Path) -> None:
    assert machine.fault() is None
    assert (machine.pool.available, machine.pool.trouble) == (["docker"], {"docker": None})
    (probed,) = machine.backend.probed
    assert (probed.image, probed.gpu, probed.command) == ("op", None, None)
    assert list(tmp_path.iterdir()) == [], "the directory of the probe is gone"


def test_what_starts_nothing_is_probed_again_with_back_off_and_no_ping_clears_it(machine: _Machine) -> None:
    machine.backend.broken = "no bridge"
    assert machine.fault() == "no bridge"
    assert machine.pool.available == []
    assert machine.probes_within(1000) == [5.0, 15.0, 35.0, 75.0, 155.0, 315.0, 615.0, 915.0]
    assert machine.pool.trouble == {"docker": "no bridge"}
    machine.backend.broken = None
    assert machine.pool.available == []
    machine.probes_within(300)
    assert machine.pool.available == ["docker"]
    assert machine.said()[-2:] == [
        "docker: no bridge; claiming nothing for it until a probe starts",
        "docker starts runs again",
    ]
    assert machine.probes_within(600) == [], "what is well is not probed"


def test_the_failures_of_neighbours_are_one_probe(machine: _Machine) -> None:
    machine.backend.broken = "no bridge"
    assert [machine.fault() for _ in range(4)] == ["no bridge"] * 4
    assert len(machine.backend.probed) == 1


def test_a_gpu_alone_is_in_trouble(machine: _Machine) -> None:
    machine.backend.broken_gpus = {1}
    assert machine.fault(_gpu(1)) == "no driver for GPU 1"
    assert (machine.pool.available, machine.pool.gpu_trouble) == (["docker"], {1: "no driver for GPU 1"})
    assert machine.fault(_gpu(0)) is None
    assert machine.fault(CPU) is None
    machine.backend.broken_gpus.clear()
    machine.probes_within(10)
    assert machine.pool.gpu_trouble == {}
    assert machine.said()[-1] == "docker with GPU 1 starts runs again"


def test_a_gpu_that_is_left_broken_by_a_repaired_engine(machine: _Machine) -> None:
    machine.backend.broken = "no bridge"
    machine.backend.broken_gpus = {1}
    machine.fault(_gpu(1))
    assert (machine.pool.available, machine.pool.gpu_trouble) == ([], {})
    machine.backend.broken = None
    machine.probes_within(10)
    assert (machine.pool.available, machine.pool.gpu_trouble) == (["docker"], {1: "no driver for GPU 1"})


def test_an_engine_that_does_not_answer_is_not_probed_and_is_probed_when_it_is_back(machine: _Machine) -> None:
    machine.backend.broken = "no bridge"
    machine.fault()
    assert machine.probes_within(320)[-1] == 315.0, "the next one would come in 300 s"
    machine.backend.down = "stopped"
    assert machine.fault() == "stopped"
    assert machine.probes_within(100) == []
    assert machine.pool.trouble == {"docker": "stopped"}
    machine.backend.down = machine.backend.broken = None
    machine.pool.check()
    assert machine.pool.available == ["docker"]


def test_the_next_look_comes_when_a_probe_is_due(machine: _Machine) -> None:
    assert machine.pool.next_probe_s() == float("inf")
    machine.backend.broken = "no bridge"
    machine.fault()
    machine.clock.turn(4.0)
    assert machine.pool.next_probe_s() == pytest.approx(1.0)


def test_no_look_is_due_for_a_probe_that_waits_for_its_engine(machine: _Machine) -> None:
    machine.backend.broken = "no bridge"
    machine.fault()
    machine.backend.down = "stopped"
    machine.clock.turn(60.0)
    machine.pool.check()
    assert machine.pool.next_probe_s() == float("inf")
    machine.backend.down = None
    machine.backend.broken = "no bridge, still"
    machine.pool.check()
    assert machine.pool.next_probe_s() < 60


def test_a_probe_of_one_backend_leaves_the_directory_of_another(tmp_path: Path) -> None:
    prober, docker, local = Prober(tmp_path, "w1", "i1"), FakeBackend(), FakeBackend()
    local.name = "local"  # type: ignore[misc]

    def probing(spec: Spec) -> None:
        assert prober.trouble(local, CPU) is None
        assert spec.run_dir.is_dir()

    docker.probe = probing  # type: ignore[method-assign]
    assert prober.trouble(docker, CPU) is None
    assert list(tmp_path.iterdir()) == []
