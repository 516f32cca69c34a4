"""What this machine can still take. The server counts too; here its sums are checked against the real machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from gyoza_tui.backends.base import BackendError
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.cores import cores, tenths
from gyoza_tui.models.gpu_room import GpuRoom
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import Children, GpuReport, ResourcesReport
from gyoza_tui.settings import Settings
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.volume_overlap import volume_overlap
from gyoza_tui.worker.worker_context.types import Resources


class Reserve(NamedTuple):
    """Kept back for the person at the desk."""

    cpu: int = 0
    ram_mb: int = 0
    vram_mb: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Reserve:
        return cls(settings.reserve_cpu, settings.reserve_ram_mb, settings.reserve_vram_mb)


def no_foreign_mb(_gpu: int) -> int:
    """Where no other program uses a GPU."""
    return 0


class Admission:
    """Decides about each claimed run, once."""

    def __init__(
        self,
        detected: Resources,
        gpu_infos: Callable[[], tuple[GpuInfo, ...]],
        reserve: Reserve,
        max_runs: int,
        pool: BackendPool,
        mode: ClaimingMode,
        foreign_mb: Callable[[int], int] = no_foreign_mb,
    ) -> None:
        self._detected = detected
        self._gpu_infos = gpu_infos
        self.reserve = reserve
        self._pool = pool
        self._mode = mode
        self._foreign_mb = foreign_mb
        self.max_runs = max_runs

    @property
    def offered(self) -> Resources:
        """What the server is told that it may give away: detected, minus kept back and the GPUs in trouble."""
        return self._without(self._pool.gpu_trouble)

    @property
    def report(self) -> ResourcesReport:
        """`offered` as a beat tells it, with what other programs use of each GPU."""
        offered = self.offered
        return ResourcesReport(
            cpu_cores=offered.cpu_cores,
            ram_mb=offered.ram_mb,
            gpus=[
                GpuReport(id=gpu.id, vram_mb=gpu.vram_mb, foreign_mb=self._foreign_mb(gpu.id), tags=gpu.tags)
                for gpu in offered.gpus
            ],
        )

    def _without(self, gpus: Collection[int]) -> Resources:
        reserve, detected = self.reserve, self._detected
        return Resources(
            cpu_cores=max(0, detected.cpu_cores - reserve.cpu),
            ram_mb=max(0, detected.ram_mb - reserve.ram_mb),
            gpus=[
                type(gpu)(id=gpu.id, vram_mb=max(0, gpu.vram_mb - reserve.vram_mb), tags=gpu.tags)
                for gpu in detected.gpus
                if gpu.id not in gpus
            ],
        )

    def refusal(self, run: OpRun, active: Iterable[RunRow], children: Children | None = None) -> str | None:
        """Why this run is given back, in words for the server and the person; None when it is kept.

        The gate has a slot and cpu for it in time: what returning parents have taken back is no reason to refuse it.
        """
        active = list(active)
        if why := self._mode.refusal_of(children):
            return why
        # first: who writes above a path decides where it leads now
        return volume_overlap(run, active) or self._backend_refusal(run) or self._lacks_room(run, active)

    def lacks(self, run: OpRun, active: list[RunRow]) -> str | None:
        """What it does not have next to these runs, but for a slot and cpu; None when it has all."""
        wants, offered = run.constraints, self.offered
        return self._memory_refusal(wants, active, offered, self._foreign_mb) or volume_overlap(run, active)

    def has_cpu(self, run: OpRun, awake: list[RunRow]) -> bool:
        return _cpu_refusal(run.constraints, awake, self.offered) is None

    def _lacks_room(self, run: OpRun, active: list[RunRow]) -> str | None:
        wants, offered = run.constraints, self.offered
        counted = [row for row in active if not row.has_waited]
        if len(counted) >= self.max_runs:
            return f"all {self.max_runs} slots are taken"
        return _cpu_refusal(wants, counted, offered) or self._memory_refusal(wants, active, offered, self._foreign_mb)

    def could_take(self, run: OpRun) -> bool:
        """Whether it may start here some time: an engine that has answered once comes back, however long it is away,
        and so does a GPU in trouble, or in use by other programs."""
        wants, whole = run.constraints, self._without(())
        if _cpu_refusal(wants, [], whole) or self._memory_refusal(wants, [], whole, no_foreign_mb):
            return False
        if self._owners_refusal(run):
            return False
        return self._pool.has_answered(ImageRef.parse(run.image).backend)

    def gpu_of(self, constraints: Constraints) -> GpuInfo | None:
        """The GPU that an attempt may see."""
        if constraints.gpu_id is None:
            return None
        for info in self._gpu_infos():
            if info.index == constraints.gpu_id:
                return info
        return GpuInfo(index=constraints.gpu_id, uuid=None, name=None, memory_total_mb=None)

    def placed(self, run: OpRun, active: Iterable[RunRow]) -> OpRun:
        """The run with a GPU chosen, where it wants one and its server has not chosen."""
        wants = run.constraints
        if wants.gpu_id is not None or not wants.vram_mb:
            return run
        fitting = [
            gpu for gpu in _gpu_rooms(active, self.offered, self._foreign_mb).values() if gpu.fits(wants.vram_mb)
        ]
        if not fitting:
            return run
        chosen = min(fitting, key=GpuRoom.unfitness)
        return run.model_copy(update={"constraints": wants.model_copy(update={"gpu_id": chosen.id})})

    def _backend_refusal(self, run: OpRun) -> str | None:
        if refusal := self._owners_refusal(run):
            return refusal
        name = ImageRef.parse(run.image).backend
        trouble = self._pool.trouble[name]
        return f"{name}: {trouble}" if trouble else None

    def never_takes(self, run: OpRun, active: Iterable[RunRow]) -> bool:
        """Whether what this worker has and may do rules the run out for good, whatever else runs."""
        try:
            return self._never(run) is not None and not volume_overlap(run, active)
        except BackendError:
            return False

    def _owners_refusal(self, run: OpRun) -> str | None:
        try:
            return self._never(run)
        except BackendError as error:
            return str(error)

    def _never(self, run: OpRun) -> str | None:
        """Why this worker will never take it. Raises BackendError where that cannot be known now."""
        try:
            image = ImageRef.parse(run.image)
        except ValueError as error:
            return str(error)
        if image.backend not in self._pool:
            return f"this worker has no backend for {image.backend}://"
        return self._pool[image.backend].refuses(image.name, run.volumes)

    def _memory_refusal(
        self, wants: Constraints, active: list[RunRow], offered: Resources, foreign_mb: Callable[[int], int]
    ) -> str | None:
        held = sum(row.run.constraints.ram_mb or 0 for row in active)
        if wants.ram_mb and held + wants.ram_mb > offered.ram_mb:
            return f"needs ram_mb {wants.ram_mb}; {max(0, offered.ram_mb - held)} of {offered.ram_mb} are free"
        if not wants.wants_gpu:
            return None
        return self._gpu_refusal(wants, _gpu_rooms(active, offered, foreign_mb))

    def _gpu_refusal(self, wants: Constraints, gpus: dict[int, GpuRoom]) -> str | None:
        if not gpus:
            return "needs a GPU; this worker has none" + self._gpu_words(None)
        if wants.gpu_id is None:
            fits = any(gpu.fits(wants.vram_mb) for gpu in gpus.values())
            return None if fits else f"no GPU has {wants.vram_mb} MB free"
        gpu = gpus.get(wants.gpu_id)
        if gpu is None:
            return f"has no GPU {wants.gpu_id}" + self._gpu_words(wants.gpu_id)
        if gpu.fits(wants.vram_mb):
            return None
        if not wants.vram_mb:
            return f"needs all of GPU {gpu.id}; it is in use"
        return f"needs vram_mb {wants.vram_mb}; GPU {gpu.id} has {gpu.free_mb} free"

    def _gpu_words(self, wanted: int | None) -> str:
        """What keeps back the GPU, or every GPU, that a run wants."""
        known = {gpu: words for gpu, words in self._pool.gpu_trouble.items() if wanted in (None, gpu)}
        return "".join(f"; GPU {gpu}: {words}" for gpu, words in known.items())


def _cpu_refusal(wants: Constraints, awake: list[RunRow], offered: Resources) -> str | None:
    held = sum(row.run.constraints.cpu_tenths for row in awake)
    if not wants.cpu or held + wants.cpu_tenths <= tenths(offered.cpu_cores):
        return None
    left = cores(max(0, tenths(offered.cpu_cores) - held))
    return f"needs cpu {wants.cpu}; {left} of {offered.cpu_cores} are free"


def _gpu_rooms(active: Iterable[RunRow], offered: Resources, foreign_mb: Callable[[int], int]) -> dict[int, GpuRoom]:
    gpus = {gpu.id: GpuRoom(gpu.id, gpu.vram_mb, foreign_mb(gpu.id)) for gpu in offered.gpus}
    for row in active:
        held = row.run.constraints
        if held.gpu_id in gpus:
            gpus[held.gpu_id].take(held.vram_mb)
    return gpus
