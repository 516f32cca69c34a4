"""What the worker does about new work, in one word: the only filled colour on the screen."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from gyoza_tui.models.workers import WorkerState
from gyoza_tui.worker.view.snapshot import Snapshot

_GREEN: Final = "bold reverse $success"
_AMBER: Final = "bold reverse $warning"
_RED: Final = "bold reverse $error"
_WISHES: Final = {
    WorkerState.PAUSED: "PAUSED",
    WorkerState.DRAINING: "DRAINING",
    WorkerState.AWAY: "LEAVING",
}


def badge(snapshot: Snapshot, *, brief: bool = False) -> Content:
    """`[CLAIMING 2/4]`: the word, slots taken, slots in all; unless it is brief, also where a wish comes from."""
    word, style = _word(snapshot)
    if snapshot.wanted is not None and word in _WISHES.values() and not brief:
        word += " by server"
    taken = max(0, snapshot.max_runs - snapshot.free_slots)
    return Content.styled(f"[{word} {taken}/{snapshot.max_runs}]", style)


def _word(snapshot: Snapshot) -> tuple[str, str]:
    link = snapshot.link
    if link.trouble is not None or link.name_held:
        return "OFFLINE", _RED
    if wish := _WISHES.get(snapshot.state):
        return wish, _AMBER
    if link.beat_at is None:
        return "CONNECTING", _AMBER
    if snapshot.refusal is not None or blocked(snapshot):
        return "BLOCKED", _AMBER
    return "CLAIMING", _GREEN


def blocked(snapshot: Snapshot) -> bool:
    """Whether no engine here can take a run."""
    return bool(snapshot.backends) and None not in snapshot.backends.values()
