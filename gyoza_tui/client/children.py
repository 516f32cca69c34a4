"""The children of a run, as lists of them show them."""

from __future__ import annotations

from typing import Final, NamedTuple

from gyoza_tui.client._client import GyozaClient
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState

LISTED: Final = 50
_FIRST: Final = "state:assigned,running,failed"
_ORDER: Final = (
    RunState.RUNNING,
    RunState.ASSIGNED,
    RunState.FAILED,
    RunState.PENDING,
    RunState.CANCELLED,
    RunState.COMPLETED,
)


class Children(NamedTuple):
    runs: list[OpRun]
    """What is at work or failed first."""
    more: bool
    """Whether there are others."""


def children_of(client: GyozaClient, run_id: str) -> Children:
    """What is at work or failed is asked for by itself: of ten thousand the newest all wait to be placed."""
    first, newest = (client.list_runs(parent=run_id, filter=wanted, limit=LISTED) for wanted in (_FIRST, None))
    # a server that does not know the question lists every run
    found = {run.id: run for run in (*first.items, *newest.items) if run.parent_id == run_id}
    runs = sorted(found.values(), key=lambda run: _ORDER.index(run.state))
    return Children(runs[:LISTED], newest.cursor is not None or len(runs) > LISTED)
