"""Why a run that goes on does nothing now: it waits for its children, or it is frozen."""

from __future__ import annotations

from datetime import tzinfo

from gyoza_tui.ui.format import clock
from gyoza_tui.ui.outside_text import plain_line
from gyoza_tui.worker.view.snapshot import Phase, RunView


def what_it_waits_for(view: RunView) -> str:
    """`for 3 of 8`, or `for a slot` when what it waited for has ended; empty where it does not wait."""
    if view.phase is Phase.RETURNING:
        return "for a slot"
    if view.waits is None:
        return ""
    return f"for {view.waits.left:,} of {view.waits.of:,}"


def frozen_by(view: RunView, zone: tzinfo | None) -> str:
    """By whom and since when; empty where it is not frozen."""
    if view.frozen_since is None:
        return ""
    by = f"by {plain_line(view.freeze_by)}" if view.freeze_by else "paused from outside"
    return f"{by} since {clock(view.frozen_since, zone)}"
