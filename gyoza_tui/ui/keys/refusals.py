"""When an action is not possible: why, in words for a toast. None: it is."""

from __future__ import annotations

from typing import Final

from gyoza_tui.models.workers import WorkerState
from gyoza_tui.ui.format import duration
from gyoza_tui.ui.outside_text import plain_line
from gyoza_tui.worker.view.control import Contact
from gyoza_tui.worker.view.snapshot import Intent, Outcome, Phase, RunView, Snapshot

SILENT_S: Final = 3.0
"""A worker that is well says something twice a second."""


def lost(contact: Contact) -> str | None:
    """Why nothing reaches the worker."""
    if contact.ended is not None:
        return f"the worker has ended: {plain_line(contact.ended)}"
    if contact.refused is not None and contact.silent_s >= SILENT_S:
        return f"not connected: {plain_line(contact.refused)}"
    if contact.silent_s >= SILENT_S:
        return f"no word from the worker for {duration(contact.silent_s)}"
    return None


def stopping(run: RunView, intent: Intent) -> str | None:
    """Why that run cannot be cancelled or released."""
    if run.outcome is not None:
        return f"{run.run_id} has ended already: {run.outcome.upper()}"
    if not run.may_become(intent):
        return f"{run.run_id} is being stopped already"
    return None


def retry(run: RunView, snapshot: Snapshot) -> str | None:
    link = snapshot.link
    if link.registered and link.server_id != run.server_id:
        return f"{run.run_id} is of another server than the one that answers now, which does not know it"
    match run.outcome:
        case None:
            return f"{run.run_id} has not ended: cancel it first"
        case Outcome.COMPLETED:
            return f"{run.run_id} has completed: only what failed or was cancelled is queued again"
        case _:
            return None


def family(run: RunView, where: str) -> str:
    """Why no key leads to its parent, or to a child."""
    if run.parent_id is not None:
        return f"{plain_line(run.parent_id)}, the parent of {run.run_id}, is not {where}"
    return f"no child of {run.run_id} is {where}"


def freeze(run: RunView) -> str | None:
    if run.phase is Phase.FROZEN:
        return f"{run.run_id} is frozen already"
    if run.phase not in (Phase.RUNNING, Phase.WAITING, Phase.RETURNING):
        return f"{run.run_id} is {run.phase}: only a run at work can be frozen"
    return None


def thaw(run: RunView) -> str | None:
    frozen = run.phase is Phase.FROZEN or (run.freeze_by and run.outcome is None)
    return None if frozen else f"{run.run_id} is {run.phase}: only a frozen run can be thawed"


def shell(run: RunView) -> str | None:
    if run.outcome is not None or run.exit is not None:
        return f"{run.run_id} has ended: there is no container to look into"
    return None if run.start_asked else f"{run.run_id} has no container yet"


def stop_all(snapshot: Snapshot) -> str | None:
    return None if stoppable(snapshot) else "no run is here that could be cancelled"


def pause(snapshot: Snapshot) -> str | None:
    """Why claiming can be neither paused nor resumed."""
    match snapshot.state:
        case WorkerState.DRAINING:
            return "draining: undo the drain first"
        case WorkerState.AWAY:
            return "the worker is leaving"
        case _:
            return None


def drain(snapshot: Snapshot) -> str | None:
    return "the worker is leaving" if snapshot.state is WorkerState.AWAY else None


def try_now(snapshot: Snapshot) -> str | None:
    return "the server answers: there is nothing to wait for" if snapshot.link.trouble is None else None


def stoppable(snapshot: Snapshot) -> tuple[RunView, ...]:
    """The runs that can be cancelled."""
    return tuple(run for run in snapshot.runs if run.may_become(Intent.CANCEL))
