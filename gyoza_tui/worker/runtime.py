"""What the duties and slots of one worker share."""

from __future__ import annotations

from dataclasses import dataclass

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import Clock
from gyoza_tui.settings import Settings
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.capacity import Capacity
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline
from gyoza_tui.worker.foreign_memory import ForeignMemory
from gyoza_tui.worker.hardware.sampler import History
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
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
    pipeline: Pipeline
    context: WorkerContext
    notices: Notices
    history: History
    foreign: ForeignMemory
    wakes: Wakes
    capacity: Capacity

    def active(self) -> tuple[RunRow, ...]:
        """The runs that take a slot."""
        return self.journal.memory.active()

    def held(self, row: RunRow) -> bool:
        """Whether the row is of another server than the one that answers now."""
        return self.link.state.holds(row.server_id)
