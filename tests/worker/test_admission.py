"""What this machine takes, checked against what it really has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.admission import Admission, Reserve
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.probes import Prober, Probes, Subject
from gyoza_tui.worker.worker_context.types import GPU, Resources
from tests.clock import FakeClock
from tests.worker.fake_backend import FakeBackend

_MACHINE = Resources(cpu_cores=8, ram_mb=16_000, gpus=[GPU(0, 24_000), GPU(1, 8_000)])


@pytest.fixture
def pool(tmp_path: Path) -> BackendPool:
    return _pool(FakeBackend(), tmp_path)


def _pool(backend: FakeBackend, directory: Path) -> BackendPool:
    clock = FakeClock()
    probes = Probes(clock, Notices(clock), Prober(directory, "w1", "i1"))
    made = BackendPool({"docker": backend}, Notices(clock), probes)
    made.check()
    return made


def _admission(pool: BackendPool, reserve: Reserve | None = None, machine: Resources = _MACHINE) -> Admission:
    infos = (GpuInfo(index=1, uuid="GPU-1", name="small", memory_total_mb=8_000),)
    return Admission(machine, lambda: infos, reserve or Reserve(), 3, pool, ClaimingMode(lambda: None))


def _run(**constraints: Any) -> OpRun:
    return OpRun(id="r", image="op", attempt=1, constraints=Constraints(**constraints))


def _active(**constraints: Any) -> RunRow:
    return RunRow(1, "s", _run(**constraints), "n", "docker", 0.0)


@pytest.mark.parametrize(
    ("wants", "holds", "refused"),
    [
        ({"cpu": 8, "ram_mb": 16_000}, {}, None),
        ({"cpu": 4}, {"cpu": 4}, None),
        ({"cpu": 5}, {"cpu": 4}, "needs cpu 5; 4 of 8 are free"),
        ({"ram_mb": 9_000}, {"ram_mb": 8_000}, "needs ram_mb 9000; 8000 of 16000 are free"),
        ({"vram_mb": 24_000}, {}, None),
        ({"vram_mb": 24_001}, {}, "no GPU has 24001 MB free"),
        ({"vram_mb": 20_000, "gpu_id": 0}, {"vram_mb": 4_000, "gpu_id": 0}, None),
        ({"vram_mb": 20_001, "gpu_id": 0}, {"vram_mb": 4_000, "gpu_id": 0}, "GPU 0 has 20000 free"),
        ({"vram_mb": 8_000, "gpu_id": 1}, {"vram_mb": 24_000, "gpu_id": 0}, None),
        ({"gpu_id": 5}, {}, "has no GPU 5"),
        ({"gpu_id": 1}, {"vram_mb": 8_000, "gpu_id": 0}, None),
        ({"gpu_id": 1}, {"vram_mb": 1, "gpu_id": 1}, "needs all of GPU 1; it is in use"),
        ({"gpu_id": 1, "vram_mb": 1}, {"gpu_id": 1}, "GPU 1 has 0 free"),
        ({"gpu_id": 1}, {"gpu_id": 1}, "needs all of GPU 1; it is in use"),
        ({}, {"cpu": 8, "ram_mb": 16_000}, None),
        ({"cpu": 0.3}, {"cpu": 7.7}, None),
        ({"cpu": 0.4}, {"cpu": 7.7}, "needs cpu 0.4; 0.3 of 8 are free"),
    ],
)
def test_sums_are_checked(pool: BackendPool, wants: dict[str, Any], holds: dict[str, Any], refused: str | None) -> None:
    words = _admission(pool).refusal(_run(**wants), [_active(**holds)])
    if refused is None:
        assert words is None
    else:
        assert words is not None
        assert refused in words


def test_what_is_kept_back_is_neither_offered_nor_given(pool: BackendPool) -> None:
    admission = _admission(pool, Reserve(cpu=2, ram_mb=1_000, vram_mb=9_000))
    offered = admission.offered
    assert (offered.cpu_cores, offered.ram_mb) == (6, 15_000)
    assert [(gpu.id, gpu.vram_mb) for gpu in offered.gpus] == [(0, 15_000), (1, 0)]
    assert admission.refusal(_run(cpu=7), []) is not None
    assert admission.refusal(_run(vram_mb=16_000), []) is not None


def test_slots_count_whatever_they_need(pool: BackendPool) -> None:
    admission = _admission(pool)
    assert admission.refusal(_run(), [_active()] * 2) is None
    assert admission.refusal(_run(), [_active()] * 3) == "all 3 slots are taken"


def test_a_gpu_is_chosen_where_the_server_chose_none(pool: BackendPool) -> None:
    admission = _admission(pool)
    assert admission.placed(_run(vram_mb=6_000), []).constraints.gpu_id == 1, "the smallest that fits"
    busy = [_active(vram_mb=4_000, gpu_id=1)]
    assert admission.placed(_run(vram_mb=6_000), busy).constraints.gpu_id == 0
    assert admission.placed(_run(vram_mb=6_000, gpu_id=0), []).constraints.gpu_id == 0
    assert admission.placed(_run(), []).constraints.gpu_id is None
    twins = _admission(pool, machine=Resources(8, 16_000, [GPU(0, 8_000), GPU(1, 8_000)]))
    assert twins.placed(_run(vram_mb=1_000), [_active(vram_mb=1_000, gpu_id=0)]).constraints.gpu_id == 1, "an idle one"


def test_the_engine_is_given_the_gpu_with_its_uuid(pool: BackendPool) -> None:
    admission = _admission(pool)
    chosen = admission.gpu_of(Constraints(gpu_id=1))
    assert chosen is not None
    assert chosen.uuid == "GPU-1"
    unseen = admission.gpu_of(Constraints(gpu_id=0))
    assert unseen is not None
    assert (unseen.index, unseen.uuid) == (0, None)
    assert admission.gpu_of(Constraints()) is None


def test_a_machine_without_gpu_says_so(pool: BackendPool) -> None:
    admission = _admission(pool, machine=Resources(cpu_cores=1, ram_mb=1))
    assert admission.refusal(_run(vram_mb=1), []) == "needs a GPU; this worker has none"


@pytest.mark.parametrize("wish", ["pause", "drain", "disk", "leave"])
def test_wishes_come_first(pool: BackendPool, wish: str) -> None:
    changes: list[None] = []
    mode = ClaimingMode(lambda: changes.append(None))
    admission = Admission(_MACHINE, tuple, Reserve(), 3, pool, mode)
    do: dict[str, Callable[[bool], None]] = {
        "pause": mode.pause,
        "drain": mode.drain,
        "disk": lambda on: mode.disk_low("disk full" if on else None),
        "leave": lambda _on: mode.leave(),
    }
    do[wish](True)
    do[wish](True)
    assert len(changes) == 1, "the server is told once per change"
    assert admission.refusal(_run(), []) is not None
    if wish != "leave":
        do[wish](False)
        assert admission.refusal(_run(), []) is None
        assert len(changes) == 2


@pytest.mark.parametrize(
    ("ours", "theirs", "waits"),
    [
        ("data", "data", False),
        ("data/a", "data/b", False),
        ("data/a", "data/abc", False),
        ("data/a", "data", True),
        ("data", "data/a", True),
        ("data/none/more", "data/none", True),
        ("by_link/x", "data/a", True),
        ("data/a/out", "data/a", True),
        ("other", "data/a", False),
    ],
)
def test_two_runs_never_have_volumes_one_inside_the_other(tmp_path: Path, ours: str, theirs: str, waits: bool) -> None:
    """A link in a volume is its run's to turn, wherever it leads; the same directory may be shared."""
    for name in ("data/a", "data/b", "data/abc", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "by_link").symlink_to("data/a")
    (tmp_path / "data" / "a" / "out").symlink_to(tmp_path / "other")
    backend = FakeBackend()
    backend.refuses = lambda image, volumes: None  # type: ignore[method-assign]
    pool = _pool(backend, tmp_path)
    wants = OpRun(id="r", image="op", attempt=1, volumes={str(tmp_path / ours): "/data"})
    other = OpRun(id="other", image="op", attempt=1, volumes={str(tmp_path / theirs): "/data"})
    admission = _admission(pool)
    refusal = admission.refusal(wants, [RunRow(1, "s", other, "n", "docker", 0.0)])
    assert (refusal is not None) is waits, refusal
    if refusal:
        assert str(tmp_path / theirs) in refusal
        assert "other" in refusal
    assert admission.could_take(wants), "once the other one has ended"


def test_a_gpu_that_starts_nothing_is_not_offered_and_may_come_back(tmp_path: Path) -> None:
    backend = FakeBackend()
    backend.broken_gpus = {1}
    pool = _pool(backend, tmp_path)
    admission = _admission(pool)
    assert pool.fault("docker", Subject("op", GpuInfo(index=1, uuid=None, name=None, memory_total_mb=None)))
    assert [gpu.id for gpu in admission.offered.gpus] == [0]
    assert admission.refusal(_run(gpu_id=1), []) == "has no GPU 1; GPU 1: no driver for GPU 1"
    assert admission.refusal(_run(gpu_id=0), []) is None
    assert admission.refusal(_run(cpu=1), []) is None
    assert admission.could_take(_run(gpu_id=1))


def test_a_neighbour_that_leads_a_volume_elsewhere_has_it_refused_for_now_only(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").symlink_to("/etc")
    pool = _pool(FakeBackend(), tmp_path)
    wants = OpRun(id="r", image="op", attempt=1, volumes={str(tmp_path / "data" / "x"): "/data"})
    other = OpRun(id="other", image="op", attempt=1, volumes={str(tmp_path / "data"): "/data"})
    beside = [RunRow(1, "s", other, "n", "docker", 0.0)]
    admission = _admission(pool)
    assert "one inside the other" in str(admission.refusal(wants, beside))
    assert not admission.never_takes(wants, beside)
    assert admission.never_takes(wants, [])
