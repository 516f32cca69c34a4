"""Every history that a test leaves in a server follows the transition table."""

from __future__ import annotations

from collections import Counter

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState, allowed

_ENDS = (EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED)


def check_histories(client: GyozaClient) -> int:
    """Check all runs; how many there were."""
    count, cursor = 0, None
    while True:
        page = client.list_runs(limit=200, after=cursor)
        for run in page.items:
            check_history(client.get_run(run.id))
            count += 1
        if (cursor := page.cursor) is None:
            return count


def check_history(run: OpRun) -> None:
    state = RunState.PENDING
    for attempt in run.attempts:
        kinds = Counter(event.type for event in attempt.events)
        assert kinds[EventType.STARTED] <= 1, f"{run.id}: attempt {attempt.attempt} STARTED twice"
        ids = [event.id for event in attempt.events]
        assert ids == sorted(set(ids)), f"{run.id}: attempt {attempt.attempt} has events {ids}"
        for event in attempt.events:
            if event.state is None or event.state is state:
                continue
            assert allowed(state, event.state), f"{run.id}: {state} became {event.state} by {event.type}"
            state = event.state
    assert run.state is state, f"{run.id}: is {run.state}, its events say {state}"
