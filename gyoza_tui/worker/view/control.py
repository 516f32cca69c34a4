"""All that a view, a signal or a test may ask of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from gyoza_tui.backends.base import Stream
from gyoza_tui.models.filters import RunFilter
from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.duties.duty_status import DutyStatus
from gyoza_tui.worker.op_output.event_lines import is_progress
from gyoza_tui.worker.op_output.log_spool import LogLine
from gyoza_tui.worker.view.check import Check, CheckState
from gyoza_tui.worker.view.log_query import ERRORS, LogQuery
from gyoza_tui.worker.view.snapshot import Notice, RunView, Snapshot

__all__ = [
    "ERRORS",
    "Check",
    "CheckState",
    "Child",
    "Children",
    "Contact",
    "ControlError",
    "Ending",
    "HistoryPage",
    "LogHits",
    "LogLine",
    "LogPage",
    "LogQuery",
    "Reloaded",
    "RunDetails",
    "Stream",
    "WorkerControl",
    "is_progress",
]


class Ending(StrEnum):
    """How the worker is asked to end. Later ones outrank earlier ones."""

    DRAIN = "drain"
    """Finish the runs, deliver, exit."""
    DETACH = "detach"
    """Exit now; containers go on and are adopted at the next start."""
    RELEASE = "release"
    """Stop the containers, give the runs back, exit."""
    LEAVE = "leave"
    """Exit at once, whatever state things are in; containers stay for adoption."""


class ControlError(Exception):
    """What was asked could not be done; `str()` is a message to a person."""


class Contact(NamedTuple):
    """How a view is connected to its worker."""

    silent_s: float = 0.0
    """For how long nothing was heard of it. A worker that is well says something twice a second."""
    ended: str | None = None
    """How the worker has ended, in words; None while it goes on, or when nobody knows."""
    refused: str | None = None
    """Why the worker does not take this view now, in its words; it is tried again."""
    life: tuple[str, int] = ("", 0)
    """Instance and epoch: what attempts are named by is good for one of them."""


class Reloaded(NamedTuple):
    """What came of reading the settings again, each setting in words: what it was and what it is."""

    applied: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    """Changed, and as before until the worker is started again."""


class HistoryPage(NamedTuple):
    runs: tuple[RunView, ...]
    """Closed attempts, the one that ended last first."""
    total: int
    """How many there are, this page included."""


class RunDetails(NamedTuple):
    """All that is known of one attempt, here and at the server."""

    view: RunView
    server: OpRun | None
    """The run as the server tells it now, with events and attempts and without its environment, as no view shows one;
    None when it could not be asked."""
    trouble: str | None
    """Why it could not."""
    refused: tuple[str, ...]
    """What the server refused of this attempt's reports, in its words."""


class Child(NamedTuple):
    """A child of a run, as the server knows it."""

    run_id: str
    op_name: str
    state: str
    """The word for its state: WAITING, FROZEN and HELD too."""
    attempt: int
    progress: float
    worker_id: str | None = None
    note: str = ""
    """Why it failed, or why it is not placed."""


class Children(NamedTuple):
    """Of one run, what is at work or failed first."""

    runs: tuple[Child, ...] = ()
    more: bool = False
    """Whether there are others."""


class LogPage(NamedTuple):
    lines: tuple[LogLine, ...]
    total: int
    """Lines of the whole log so far, an unfinished last one included."""


class LogHits(NamedTuple):
    """What one slice of a search found."""

    numbers: tuple[int, ...]
    """Numbers of matching lines, ascending."""
    next_line: int | None
    """Where the next slice begins (backwards: the line above which it begins); None when there is no more."""


class WorkerControl(Protocol):
    """Thread-safe.

    Commands return at once; what they bring about shows in the snapshot. What says "blocks" may wait for a disk, an
    engine or the server and is never called on a view's loop; it raises ControlError, or KeyError for an attempt that
    is neither here nor in the history.
    """

    def contact(self) -> Contact: ...

    def snapshot(self) -> Snapshot: ...

    def duties(self) -> tuple[DutyStatus, ...]:
        """As the snapshot has them, for who wants only these."""

    def samples(self) -> tuple[HardwareSample, ...]:
        """The machine's readings of the last ten minutes, one a second, oldest first."""

    def notices(self) -> tuple[Notice, ...]:
        """The last thousand messages, oldest first."""

    def checks(self) -> tuple[Check, ...]:
        """The checklist, from what is known already."""

    def pause(self) -> None:
        """Stop claiming; runs go on, and what arrives after this is given back."""

    def resume(self) -> None: ...

    def end(self, ending: Ending) -> None: ...

    def stop(self) -> Ending:
        """Ask for what a first SIGTERM asks for; which ending that is."""

    def undo_drain(self) -> None: ...

    def cancel(self, run_id: str, attempt: int) -> bool:
        """Stop the attempt and report it CANCELLED; whether there is one to cancel. Shows at once, and never waits."""

    def release(self, run_id: str, attempt: int) -> bool:
        """Stop the attempt and give it back; whether there is one. Shows at once, and never waits."""

    def try_now(self) -> None:
        """Try the server now instead of waiting."""

    def settings(self) -> dict[str, Any]:
        """What it runs with, as JSON has it, secrets masked."""

    def reload(self) -> Reloaded:
        """Read the settings again and apply what can be applied to a running worker. Blocks."""

    def seen(self, key: int) -> None:
        """Somebody has looked at how that attempt ended. Blocks."""

    def why_queued(self) -> str:
        """Why a run waits at the server, in its words, after the run's id; empty where it gives none. Blocks."""

    def retry(self, run_id: str) -> None:
        """Ask the server to queue an ended run again. Blocks."""

    def freeze(self, key: int) -> None:
        """Have the server want it frozen; while that is away, freeze it here. Blocks."""

    def thaw(self, key: int) -> None:
        """The same for letting it go on. Blocks."""

    def history(self, wanted: RunFilter, limit: int) -> HistoryPage:
        """The closed attempts that match, at most `limit`. Blocks."""

    def details(self, key: int) -> RunDetails:
        """Blocks; asks the server."""

    def children(self, key: int) -> Children:
        """The runs that its run has created. Blocks; asks the server."""

    def log_size(self, key: int) -> int | None:
        """Bytes of its log that can be read, while it is written here: the same number means that nothing came."""

    def log_lines(self, key: int, start: int, count: int, line_max: int = 8192) -> LogPage:
        """Up to `count` lines of its log from number `start` on; a negative start counts from the end. Blocks.

        Of a line longer than `line_max` bytes its begin and its end may be all that is given.
        """

    def log_search(self, key: int, query: LogQuery, line: int, *, backwards: bool = False) -> LogHits:
        """Search one slice of its log, about 256 KiB from `line` on, or above it. Blocks for a few milliseconds."""

    def log_bytes(self, key: int) -> Iterator[bytes]:
        """Its whole log as it came, to save it. Blocks."""

    def describe(self, key: int) -> dict[str, Any]:
        """The engine's own view of the attempt, its environment masked. Blocks."""

    def shell(self, key: int) -> tuple[str, ...]:
        """The argv of a shell where the attempt runs. Blocks."""
