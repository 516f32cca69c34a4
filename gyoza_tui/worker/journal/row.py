"""What the journal knows of one attempt, as the rest of the worker reads it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from gyoza_tui.backends.base import Exit, Handle
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import RunHeld


class Intent(StrEnum):
    """What this worker wants of a run beside finishing it. Later ones outrank earlier ones."""

    NONE = "none"
    CANCEL = "cancel"
    """A person at this worker, or the server, wants it ended."""
    RELEASE = "release"
    """Give it back: stop the container, PENDING at the server."""
    LOST = "lost"
    """It is another's now: stop the container, report nothing."""

    def outranks(self, other: Intent) -> bool:
        order = list(Intent)
        return order.index(self) > order.index(other)


class Outcome(StrEnum):
    """How an attempt ended here; `worker/endings.py` decides and writes it."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"
    LOST = "lost"


class RunRow(NamedTuple):
    """One row of the journal: everything that a restarted worker needs to go on with the attempt."""

    key: int
    server_id: str
    """Whose run it is; empty for a server that gives no id."""
    run: OpRun
    """As claimed, with `attempt` and `lease`."""
    name: str
    """Of container and directories."""
    backend: str
    claimed_at: float
    """UTC seconds, as all times here."""
    intent: Intent = Intent.NONE
    intent_note: str = ""
    by_server: bool = False
    """Whether a CANCEL came from the server."""
    step: str = ""
    create_asked: bool = False
    """Written before the container is made."""
    handle: Handle | None = None
    start_asked: bool = False
    """Written before the start: from here on a missing container is never started again."""
    started_acked: bool = False
    """The server has taken STARTED."""
    started_at: float | None = None
    """When the container started."""
    frozen_since: float | None = None
    """Since when its container is paused, by us or from outside; None while it is not."""
    freeze_by: str = ""
    """Who wants it paused; written before it is."""
    thaw_asked: bool = False
    """Written before it is made to go on; until it does."""
    frozen_s: float = 0
    """Seconds for which it was paused before, without those for which it waited as well."""
    server_wants_frozen: bool = False
    """What the server wanted when it was heard last."""
    freeze_untold: bool = False
    """The server is to be told what is wanted of it: that was decided here."""
    waiting_since: float | None = None
    """Since when it waits for its children and has no slot; None while it is awake."""
    waits_left: int = 0
    """Of the children that it waits for, or waited for last, those that have not ended."""
    waits_of: int = 0
    """How many those children are."""
    waited_s: float = 0
    """Seconds for which it waited before."""
    timed_out: bool = False
    """Written before it was stopped because its time was over."""
    filled_disk: str = ""
    """How it filled a disk; written before it was stopped for that, where there was still room for it."""
    exit: Exit | None = None
    parsed: int = 0
    """Bytes of stdout whose event lines are in the outbox."""
    progress: float | None = None
    """What the op last said, 0 to 100, and when."""
    progress_at: float | None = None
    progress_from: float | None = None
    """What it said first since it last went back, and when: the pace is counted from there."""
    progress_since: float | None = None
    adopted: bool = False
    """Taken over, at work, from an earlier start of this worker."""
    outcome: Outcome | None = None
    outcome_note: str = ""
    """`outputs: 3`, `oom_killed, exit 137: …`, or why it was cancelled or given back."""
    last_line: str = ""
    """Of a failed one: the last line of its output, as far as the report tells it."""
    outcome_at: float | None = None
    seen: bool = False
    """Whether somebody has looked at how it ended."""
    acked: bool = False
    """The server has taken or refused the end; nothing is left to report."""
    cleaned: bool = False
    """Container and directories are gone."""
    left_at: float | None = None
    """When they were, which ends the last step."""

    @property
    def run_id(self) -> str:
        return self.run.id

    @property
    def attempt(self) -> int:
        return self.run.attempt or self.run.current_attempt

    @property
    def lease(self) -> str | None:
        return self.run.lease

    def may_become(self, intent: Intent) -> bool:
        """Whether that intent is news, and there is still something to intend."""
        return self.outcome is None and intent.outranks(self.intent)

    # Whether it is done with, which is a question of who asks:
    #   active      the journal and its readers: something of it is present here, or is left to clean
    #   awake       the slots: it is active and takes one, because it does not wait for its children
    #   unreported  the delivery, a drain and a session's end: it ended here and the server does not know it yet
    #   closed      the journal's memory and retention: neither of them; it is history

    @property
    def active(self) -> bool:
        return self.outcome is None or not self.cleaned

    @property
    def awake(self) -> bool:
        return self.active and self.waiting_since is None

    @property
    def waits(self) -> bool:
        """It has no slot: it waits for its children, or to go on after that."""
        return self.waiting_since is not None and self.exit is None and self.outcome is None

    @property
    def has_waited(self) -> bool:
        """Whether the server may have given its slot and its cpu to another run."""
        return self.waits_of > 0

    @property
    def frozen(self) -> bool:
        """It is paused, or is to be, or is not known to go on."""
        return self.frozen_since is not None or bool(self.freeze_by) or self.thaw_asked

    @property
    def unreported(self) -> bool:
        return self.outcome is not None and not self.acked

    @property
    def closed(self) -> bool:
        return self.acked and not self.active

    @property
    def held(self) -> RunHeld:
        return RunHeld(id=self.run_id, attempt=self.attempt)

    def with_(self, **changes: object) -> RunRow:
        return self._replace(**changes)  # type: ignore[arg-type]
