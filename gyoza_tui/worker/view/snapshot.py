"""The frozen picture of the worker that every view reads, and the words that it is made of.

Times of runs are UTC seconds, for they outlive the process; times of duties and of the link are boot time, as
`taken_at` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from gyoza_tui.backends.base import Exit, PullProgress
from gyoza_tui.models.filters import RunFacts
from gyoza_tui.models.hardware import Foreign, HardwareSample
from gyoza_tui.models.workers import Wanted, WorkerState
from gyoza_tui.worker.backend_trouble import UNCHECKED
from gyoza_tui.worker.duties.duty_status import DutyStatus
from gyoza_tui.worker.journal.row import Intent, Outcome
from gyoza_tui.worker.link_state import LinkState
from gyoza_tui.worker.notices.notices import Notice
from gyoza_tui.worker.retry_notice import RetryNotice
from gyoza_tui.worker.view.phase import Phase, phase_of

__all__ = [
    "UNCHECKED",
    "DutyStatus",
    "Exit",
    "Failures",
    "Foreign",
    "Intent",
    "LinkState",
    "Notice",
    "Outcome",
    "Phase",
    "Progress",
    "PullProgress",
    "RetryNotice",
    "RunView",
    "Snapshot",
    "StepView",
    "Tally",
    "Waits",
    "Wanted",
]


_ALSO_RUNNING: Final = frozenset({Phase.FROZEN, Phase.WAITING, Phase.RETURNING})


class StepView(NamedTuple):
    """A step of the pipeline, whatever the pipeline is."""

    name: str
    began_at: float | None = None
    """None: not entered yet."""
    ended_at: float | None = None
    """None: not left yet, or nobody knows."""


class Progress(NamedTuple):
    """What the op last said of itself."""

    percent: float
    at: float
    left_s: float | None = None
    """From `at` on, by the pace since its first word; None while there is no pace."""


class Waits(NamedTuple):
    """What an attempt that gave up its slot waits for."""

    left: int
    """Children that have not ended."""
    of: int
    """Children that it waits for, those that have ended included."""
    since: float


class RunView(NamedTuple):
    """One attempt here as a view shows it, with the server's last word on its run: nothing secret, nothing long."""

    key: int
    """What the control's methods name an attempt by; stays the same when the run ends."""
    run_id: str
    attempt: int
    op_name: str
    image: str
    backend: str
    server_id: str
    """Whose run it is; empty for a server that gives no id."""
    claimed_at: float
    op_definition: str | None = None
    topic: str = ""
    """Where its events are published; empty: nowhere."""
    inputs: str = ""
    """How its inputs begin, as one line of JSON."""
    step: str = ""
    intent: Intent = Intent.NONE
    intent_note: str = ""
    start_asked: bool = False
    """Whether there is, or was, a container that may run."""
    started_at: float | None = None
    """When the container started."""
    frozen_since: float | None = None
    """Since when its container is paused; None while it is not."""
    freeze_by: str = ""
    """Who wants it paused; empty where it was paused from outside."""
    parent_id: str | None = None
    """The run that created it."""
    may_submit: bool = False
    """Whether its op may create runs, which are its children."""
    waits: Waits | None = None
    """While it has no slot, because it waits for its children."""
    returning: bool = False
    """With `waits`: what it waited for has ended, and it waits for a slot."""
    exit: Exit | None = None
    outcome: Outcome | None = None
    outcome_note: str = ""
    """How it ended, for the run list."""
    last_line: str = ""
    """Of a failed one: the last line of its output, for the run list."""
    outcome_at: float | None = None
    acked: bool = False
    """The server has taken or refused the end; nothing is left to report."""
    cleaned: bool = False
    """Container and directories are gone."""
    server_state: str | None = None
    held: bool = False
    """Its server is not the one that answers now."""
    adopted: bool = False
    """Taken over from an earlier start of this worker."""
    steps: tuple[StepView, ...] = ()
    """All steps of the pipeline in order."""
    progress: Progress | None = None
    pull: PullProgress | None = None
    """While its image is pulled."""
    kill_at: float | None = None
    """When SIGKILL follows, in UTC seconds, while it is asked to stop."""
    again: RetryNotice | None = None
    """While something went wrong and is tried again."""
    seen: bool = True
    """False for a failed one as long as nobody has looked at how it ended."""
    gpu: int | None = None
    """The index of the one GPU that it may see."""

    @property
    def phase(self) -> Phase:
        return phase_of(self)

    @property
    def closed(self) -> bool:
        """Nothing of it changes any more."""
        return self.outcome is not None and self.acked and self.cleaned

    def facts(self, worker_id: str) -> RunFacts:
        """What a filter looks at; a run of this worker is filtered by its words here."""
        # where it has ended and is not delivered, its state is both; a frozen or waiting one is running too
        also = (self.outcome.value,) if self.outcome else (Phase.RUNNING.value,) if self.phase in _ALSO_RUNNING else ()
        return RunFacts(
            id=self.run_id,
            states=(self.phase.value, *also),
            op=self.op_name,
            image=self.image,
            note=" ".join((self.outcome_note or self.intent_note, self.last_line)),
            worker=worker_id,
            topic=self.topic,
            parent=self.parent_id or "",
            ended_at=self.outcome_at,
        )

    def may_become(self, intent: Intent) -> bool:
        """Whether that intent is news, and there is still something to intend."""
        return self.outcome is None and intent.outranks(self.intent)


class Tally(NamedTuple):
    """How many of the runs that ended here, and are still in the history, ended how: by their last attempt here."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    other: int = 0
    """Released or lost."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed attempts that nobody has looked at yet."""

    count: int = 0
    since: float | None = None


class Snapshot(NamedTuple):
    """The worker at one moment. Times are UTC seconds where they are not called boot time."""

    version: int
    """Grows with each snapshot taken."""
    taken_at: float
    """Boot time."""
    utc: float
    """The same moment in UTC seconds."""
    worker_id: str
    state: WorkerState
    refusal: str | None
    """Why no run is taken now; None when runs are."""
    max_runs: int
    free_slots: int
    server_url: str
    link: LinkState
    next_try_s: float
    """Until the server is tried again; 0 while it answers."""
    backends: dict[str, str | None]
    """Per backend why it cannot take work, UNCHECKED before anybody has looked, or None."""
    to_deliver: int
    runs: tuple[RunView, ...]
    """What is not closed, oldest first."""
    duties: tuple[DutyStatus, ...]
    hardware: HardwareSample | None
    gpu_trouble: dict[int, str] = {}  # noqa: RUF012 -- never changed
    """By index: the GPUs with which nothing can be started, and why."""
    foreign: dict[int, Foreign] = {}  # noqa: RUF012 -- never changed
    """By index: what other programs use of each GPU."""
    unplaced: dict[str, str] = {}  # noqa: RUF012 -- never changed
    """By child that a run here waits for: why no worker is given it, while this one claims nothing else."""
    disk: str | None = None
    """Why the disk lets no run be taken, in words; None when it does."""
    disk_free_mb: int | None = None
    """Of the disk with the least room."""
    disk_warning: str | None = None
    """Which disk will soon let no run be taken, in words."""
    tally: Tally = Tally()
    failures: Failures = Failures()
    history_version: int = 0
    """Grows with each change of what `WorkerControl.history` would answer."""
    wanted: Wanted | None = None
    """Who wants at the server that this worker is in the state that it is in; None where that was asked for here."""
    down_since: float | None = None
    """Boot time since which the server does not answer; None while it does, or never did."""

    @property
    def held(self) -> Mapping[str, tuple[str, ...]]:
        """Per backend why each run that is on another engine is out of reach."""
        held: dict[str, tuple[str, ...]] = {}
        for view in self.runs:
            if view.again is not None and view.again.held:
                held[view.backend] = (*held.get(view.backend, ()), view.again.why.removeprefix("held: "))
        return held
