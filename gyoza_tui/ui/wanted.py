"""Who wants at the server that this worker is in the state that it is in."""

from __future__ import annotations

from datetime import tzinfo

from gyoza_tui.ui.format import moment
from gyoza_tui.ui.outside_text import plain_line
from gyoza_tui.worker.view.snapshot import Snapshot


def wanted_by(snapshot: Snapshot, zone: tzinfo | None) -> str:
    """`by anna at the server since 14:02`; empty where it was asked for at the worker."""
    wanted = snapshot.wanted
    if wanted is None:
        return ""
    return f"by {plain_line(wanted.by)} at the server since {moment(wanted.since.timestamp(), snapshot.utc, zone)}"
