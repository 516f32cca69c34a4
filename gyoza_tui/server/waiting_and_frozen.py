"""Attempts that wait for their children, or are frozen, as the beats of their workers report them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from gyoza_tui.models.nested import Waiting
from gyoza_tui.models.states import EventType
from gyoza_tui.models.workers import RunningOpReport
from gyoza_tui.server.run_change import Entry, RunChange
from gyoza_tui.server.server_time import Micros


def take(run: RunChange, op: RunningOpReport, since: Micros | None = None) -> None:
    """Store what a beat reports of the current attempt. `since`: when it began to wait, if that is known better."""
    row, now = run.attempt, run.shared.server_time.due()
    if op.waiting is not None and row.waiting_since is None:
        _begin_to_wait(run, row, op.waiting, now if since is None else since)
    elif op.waiting is None and row.waiting_since is not None:
        _return(run, row, now)
    elif op.waiting is not None and (text := op.waiting.model_dump_json()) != row.waiting:
        run.set_attempt(row.attempt, waiting=text)
    if op.frozen is not None and row.frozen_since is None:
        run.set_attempt(row.attempt, frozen_since=now)
        run.record(row.attempt, Entry(EventType.INFO, "frozen"))
    elif op.frozen is None and row.frozen_since is not None:
        run.end_frozen(row.attempt)
        run.record(row.attempt, Entry(EventType.INFO, f"thawed after {(now - row.frozen_since) / 1e6:.0f} s"))


def _begin_to_wait(run: RunChange, row: Row[Any], waiting: Waiting, since: Micros) -> None:
    """The timeline has the first wait only: there may be thousands."""
    run.set_attempt(row.attempt, waiting=waiting.model_dump_json(), waiting_since=since, waits=row.waits + 1)
    if row.waits == 0:
        run.record(row.attempt, Entry(EventType.INFO, f"waiting for {waiting.left} of {waiting.of} children"))
    _answer_polls(run, row.worker_id)


def _return(run: RunChange, row: Row[Any], now: Micros) -> None:
    """The timeline has the last return only."""
    run.end_waiting(row.attempt)
    waited_s = (row.waited_us + now - row.waiting_since) / 1e6
    words = "it waited for its children" if row.waits == 1 else f"it waited for its children {row.waits} times"
    entry = Entry(EventType.INFO, f"continues: {words}, {waited_s:.0f} s in total")
    if run.run.after_children:
        # it was to make room for its children
        run.set_run(want=None, want_by=None, after_children=False)
    run.set_attempt(row.attempt, return_event=run.replace(row.attempt, row.return_event, entry))
    _answer_polls(run, row.worker_id)


def _answer_polls(run: RunChange, worker_id: str) -> None:
    """What its worker asks for now depends on who waits there."""
    claims, ends = run.shared.claims, run.shared.ends
    run.shared.work_changed = True
    run.tx.after_commit(lambda: claims.answer_empty(claims.open(worker_id)))
    run.tx.after_commit(lambda: ends.answer_worker(worker_id))
