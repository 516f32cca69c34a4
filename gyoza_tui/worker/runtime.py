"""What the duties and slots of one worker share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gyoza_tui.backends.base import Backend
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.settings import Settings
from gyoza_tui.worker.admission import Admission, Reserve
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.building import image_pulls
from gyoza_tui.worker.capacity import Capacity
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline
from gyoza_tui.worker.foreign_memory import ForeignMemory
from gyoza_tui.worker.hardware.detect import detect_resources
from gyoza_tui.worker.hardware.sampler import History
from gyoza_tui.worker.hooks import HookCalls
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.image_pulls import ImagePulls
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.probes import Prober, Probes
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.session import Session
from gyoza_tui.worker.state_dir.state_dir import StateDir
from gyoza_tui.worker.wakes import Wakes
from gyoza_tui.worker.worker_context.types import WorkerContext


@dataclass
class Runtime:
    """What the parts of one worker share."""

    settings: Settings
    state_dir: StateDir
    clock: Clock
    client: GyozaClient
    journal: Journal
    link: ServerLink
    mode: ClaimingMode
    pool: BackendPool
    admission: Admission
    pulls: ImagePulls
    pipeline: Pipeline
    context: WorkerContext
    notices: Notices
    history: History
    foreign: ForeignMemory
    wakes: Wakes
    session: Session
    hooks: HookCalls
    capacity: Capacity
    identity: Identity

    def active(self) -> tuple[RunRow, ...]:
        """The runs that take a slot."""
        return self.journal.memory.active()

    def reportable(self) -> tuple[RunRow, ...]:
        """The rows that the server which answers now may be asked about: all but those that are held."""
        return self.journal.memory.rows(self.link.state.answering)

    def held(self, row: RunRow) -> bool:
        """Whether the row is of another server than the one that answers now."""
        return self.link.state.holds(row.server_id)


def assembled(
    settings: Settings,
    state_dir: StateDir,
    notices: Notices,
    clock: Clock,
    session: Session,
    *,
    client: GyozaClient,
    journal: Journal,
    backends: Mapping[str, Backend],
    pipeline: Pipeline,
    hooks: HookCalls,
) -> Runtime:
    """What the duties and slots of one worker share."""
    wakes, history, detected = Wakes(), History(), detect_resources()
    identity = Identity(settings.worker_id, state_dir.instance_id, state_dir.epoch)
    prober = Prober(state_dir.root, settings.worker_id, state_dir.instance_id)
    pool = BackendPool(backends, notices, Probes(clock, notices, prober))
    mode, link = ClaimingMode(wakes.beat.set), ServerLink(clock, notices, settings.heartbeat_s)
    for wake in (wakes.claim, wakes.deliver, wakes.reconcile):
        link.wakes(wake)
    foreign = ForeignMemory(clock, pool.items, journal.memory.active, wakes.beat.set, lambda: link.state.heartbeat_s)
    return Runtime(
        settings=settings,
        state_dir=state_dir,
        clock=clock,
        client=client,
        journal=journal,
        link=link,
        mode=mode,
        pool=pool,
        admission=Admission(
            detected, lambda: _gpus(history), _reserve(settings), settings.max_runs, pool, mode, foreign.mb
        ),
        pulls=image_pulls(settings, clock),
        pipeline=pipeline,
        context=WorkerContext(worker_id=settings.worker_id, resources=detected, tags=list(settings.tags)),
        notices=notices,
        history=history,
        foreign=foreign,
        wakes=wakes,
        session=session,
        hooks=hooks,
        capacity=Capacity(settings.max_runs, journal, link, mode, pool),
        identity=identity,
    )


def _gpus(history: History) -> tuple[GpuInfo, ...]:
    latest = history.latest()
    return tuple(gpu.info for gpu in latest.gpus) if latest else ()


def _reserve(settings: Settings) -> Reserve:
    return Reserve(settings.reserve_cpu, settings.reserve_ram_mb, settings.reserve_vram_mb)
