"""How long a run was frozen."""

from __future__ import annotations

from typing import Any

from gyoza_tui.worker.journal.row import RunRow


def thawed(row: RunRow, now: float) -> dict[str, Any]:
    """What changes in the row of a run that goes on, or has ended, at `now`, in UTC seconds.

    While it waited for its children, which it still does, its time stood still for that.
    """
    since = now if row.frozen_since is None else row.frozen_since
    until = now if row.waiting_since is None else row.waiting_since
    return {"frozen_since": None, "thaw_asked": False, "frozen_s": row.frozen_s + max(0.0, until - since)}
