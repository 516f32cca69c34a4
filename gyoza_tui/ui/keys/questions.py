"""What the dialogs ask, in words: each names what it is about, as it stood when the key was pressed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from enum import StrEnum
from typing import Final

from textual.content import Content

from gyoza_tui.models.workers import WorkerState
from gyoza_tui.ui.families import descendants
from gyoza_tui.ui.format import duration
from gyoza_tui.ui.keys.key_names import key_of
from gyoza_tui.ui.keys.question import Choice, Question, yes_or_no
from gyoza_tui.ui.keys.refusals import stoppable
from gyoza_tui.ui.outside_text import one_line
from gyoza_tui.ui.standstill import what_it_waits_for
from gyoza_tui.ui.wanted import wanted_by
from gyoza_tui.ui.why_nothing_runs import some_wait
from gyoza_tui.worker.view.snapshot import RunView, Snapshot

_LISTED: Final = 8


class Way(StrEnum):
    """Ways to leave."""

    STAY = "stay"
    BACKGROUND = "background"
    DRAIN = "drain"
    DETACH = "detach"
    CANCEL_ALL = "cancel all"


def cancel(run: RunView, snapshot: Snapshot) -> Question[bool]:
    return yes_or_no(
        Content("Cancel this run?"),
        (
            _going(run, snapshot),
            Content(""),
            Content("It is stopped, and the server is told CANCELLED."),
            *_children(run, snapshot),
        ),
        no="Keep it running",
        yes="Cancel the run",
    )


def release(run: RunView, snapshot: Snapshot) -> Question[bool]:
    return yes_or_no(
        Content("Release this run?"),
        (
            _going(run, snapshot),
            Content(""),
            Content("It is stopped and given back: it starts anew, here or at another worker."),
        ),
        no="Keep it running",
        yes="Release the run",
    )


def freeze(run: RunView, snapshot: Snapshot) -> Question[bool]:
    return yes_or_no(
        Content("Freeze this run?"),
        (
            _going(run, snapshot),
            Content(""),
            Content("All its processes are paused, and its time limit stands still. It keeps slot and memory."),
        ),
        no="Keep it running",
        yes="Freeze the run",
    )


def thaw(run: RunView, snapshot: Snapshot) -> Question[bool]:
    return yes_or_no(
        Content("Thaw this run?"),
        (_going(run, snapshot), Content(""), Content("Its processes go on where they were paused.")),
        no="Leave it frozen",
        yes="Thaw the run",
    )


def retry(run: RunView, snapshot: Snapshot) -> Question[bool]:
    return yes_or_no(
        Content("Retry this run?"),
        (
            _named(run, f"{run.outcome} {duration(snapshot.utc - (run.outcome_at or snapshot.utc))} ago"),
            Content(""),
            Content("The server queues it again, from its beginning. It may go to another worker."),
        ),
        no="Leave it as it is",
        yes="Retry the run",
    )


def cancel_all(runs: tuple[RunView, ...], snapshot: Snapshot, *, exits: bool) -> Question[bool]:
    """`exits`: and then drain, which has nothing left to wait for."""
    after = "They are stopped, and the server is told CANCELLED."
    return yes_or_no(
        Content(f"Cancel {_count(runs)}{' and exit' if exits else ''}?"),
        (*_list(runs, snapshot), Content(""), Content(f"{after} Then this worker exits." if exits else after)),
        no="Keep them running",
        yes=f"Cancel {_count(runs)}{' and exit' if exits else ''}",
    )


def drain(snapshot: Snapshot, keymap: Mapping[str, str]) -> Question[bool]:
    runs = snapshot.runs
    if runs:
        lines = (Content(f"{_claimed(snapshot)}. Then {_count(runs)} will finish:"), *_list(runs, snapshot))
    else:
        lines = (Content("Nothing new is claimed, and no run is here that would have to finish."),)
    return yes_or_no(
        Content("Drain this worker?"),
        (
            *lines,
            Content(""),
            Content(f"{_reports(snapshot)}Then it exits; {key_of('drain', keymap)} undoes it."),
        ),
        no="Go on claiming",
        yes="Drain, then exit",
    )


def override(snapshot: Snapshot, zone: tzinfo | None) -> Question[bool]:
    """Of a pause, or a drain, that the server wants."""
    drains = snapshot.state is WorkerState.DRAINING
    done, go_on = ("Drained", "Go on draining") if drains else ("Paused", "Stay paused")
    return yes_or_no(
        Content("Claim runs again?"),
        (
            Content(f"{done} {wanted_by(snapshot, zone)}."),
            Content(""),
            Content("This worker then claims again, also when it is started again; the server shows that."),
        ),
        no=go_on,
        yes="Claim again",
    )


def suspend(snapshot: Snapshot) -> Question[bool]:
    return yes_or_no(
        Content("Leave the screen?"),
        (
            Content("The process is not stopped: without its heartbeats it would lose its runs."),
            Content(""),
            Content(f"Without the screen it {_goes_on(snapshot)}; Enter brings it back."),
        ),
        no="Stay",
        yes="Leave the screen, the worker goes on",
    )


def leave(snapshot: Snapshot, keymap: Mapping[str, str], *, attached: bool = False) -> Question[Way]:
    """`attached`: the worker is another process, which this screen's end leaves as it is."""
    runs = snapshot.runs
    new = "only their children" if some_wait(snapshot) else "nothing new"
    drains = f"finishes {_count(runs)}" if runs else "has no run to finish"
    on = f"and {_count(runs)} here {'goes' if len(runs) == 1 else 'go'} on" if runs else "no run is here"
    goes_on = Choice(Way.BACKGROUND, "Leave the screen, the worker goes on", f"It {_goes_on(snapshot)}, {on}.")
    stays = Choice(Way.STAY, "Stay", "Nothing changes.")
    return Question(
        Content("Leave?"),
        (Content.assemble(one_line(snapshot.worker_id), f" · {_count(runs)} here · {snapshot.to_deliver} to deliver"),),
        (
            *((goes_on, stays) if attached else (stays, goes_on)),
            Choice(
                Way.DRAIN,
                "Drain, then exit",
                f"Claims {new}, {drains}, delivers, exits. {key_of('drain', keymap)} undoes it.",
            ),
            Choice(Way.DETACH, "Detach", _detach(runs)),
            Choice(Way.CANCEL_ALL, "Cancel all and exit", _cancel_all(stoppable(snapshot))),
        ),
    )


def _goes_on(snapshot: Snapshot) -> str:
    if snapshot.state is not WorkerState.CLAIMING:
        return f"stays {snapshot.state}"
    return "claims again once the server takes it" if snapshot.link.trouble else "goes on claiming"


def _detach(runs: tuple[RunView, ...]) -> str:
    if not runs:
        return "Exits at once; no run is here."
    return f"Exits at once. {_count(runs).capitalize()} {'goes' if len(runs) == 1 else 'go'} on, adopted at next start."


def _cancel_all(runs: tuple[RunView, ...]) -> str:
    return f"Stops {_count(runs)}: lists and asks first." if runs else "Nothing to cancel: drains and exits."


def _children(run: RunView, snapshot: Snapshot) -> tuple[Content, ...]:
    """What else is cancelled by the server."""
    if not run.may_submit:
        return ()
    waits = [] if run.waits is None else [f"It waits {what_it_waits_for(run)}."]
    below = descendants(run, [view for view in snapshot.runs if view.outcome is None])
    are = "is" if len(below) == 1 else "are"
    here = [f"{_count(below)} below it {are} at this worker:"] if below else []
    return (
        Content("Its children that have not ended are cancelled too, wherever they are, unless they were detached."),
        *([Content(" ".join(waits + here))] if waits or here else []),
        *_list(below, snapshot),
    )


def _claimed(snapshot: Snapshot) -> str:
    return "Only what runs here wait for is claimed" if some_wait(snapshot) else "Nothing new is claimed"


def _going(run: RunView, snapshot: Snapshot) -> Content:
    return _named(run, duration(snapshot.utc - run.claimed_at))


def _named(run: RunView, since: str) -> Content:
    return Content.assemble(one_line(run.run_id).stylize("bold"), "  ", one_line(run.op_name), f"  {since}")


def _list(runs: tuple[RunView, ...], snapshot: Snapshot) -> tuple[Content, ...]:
    lines = tuple(Content.assemble("  ", _going(run, snapshot)) for run in runs[:_LISTED])
    return (*lines, Content(f"  and {len(runs) - _LISTED} more")) if len(runs) > _LISTED else lines


def _count(runs: tuple[RunView, ...]) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs)} runs"


def _reports(snapshot: Snapshot) -> str:
    match snapshot.to_deliver:
        case 0:
            return ""
        case 1:
            return "1 report is still to be delivered. "
        case count:
            return f"{count} reports are still to be delivered. "
