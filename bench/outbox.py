"""What one turn of the worker costs with 100,000 results in its journal that another server has to take.

A turn is an event of the one run at work: its journal write, the delivery, the next beat and the next claim. The same
is measured in a worker that holds nothing.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.report import report
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.runs import EventReport, EventsAccepted, OpRun
from gyoza_tui.models.states import EventType
from gyoza_tui.models.workers import HeartbeatReply
from gyoza_tui.settings import Settings
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.duties.heartbeat import Heartbeat
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Outcome
from gyoza_tui.worker.runner import Worker

HELD: Final = 100_000
TURNS: Final = 50
BOUND_MS: Final = 10.0
_HERE: Final = "the server that answers"
_AWAY: Final = "another server"


class _Accepting(GyozaClient):
    """A server that takes every report and has no network before it."""

    def add_event(self, *_: Any, **__: Any) -> EventsAccepted:
        return EventsAccepted(accepted=1)

    def beat(self, *_: Any, **__: Any) -> HeartbeatReply:
        return HeartbeatReply(protocol=1, server_id=_HERE, lease_s=30, heartbeat_s=5)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else HELD
    without, _ = _measured(0)
    taken, opened_s = _measured(count)
    detail = (
        f"median of {TURNS} turns with {count} held results, in processor time; {taken / without:.1f} times the "
        f"{without:.2f} ms of a worker that holds none; the worker was made in {opened_s:.1f} s"
    )
    report("outbox", detail, taken, BOUND_MS, at_most=True, unit=" ms")


def _measured(held: int) -> tuple[float, float]:
    """Milliseconds of a turn, and the seconds in which the worker was made."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(worker_id="bench", state_dir=Path(home), server_url="http://127.0.0.1:9", max_runs=4)
        made = Worker(settings, backends={})
        path = made.parts.state_dir.journal
        made.close()
        _hold(path, held)
        began = time.perf_counter()
        worker = Worker(settings, backends={}, client=_Accepting(settings.server_url, None))
        opened_s = time.perf_counter() - began
        try:
            return median(_turns(worker)), opened_s
        finally:
            worker.close()


def _turns(worker: Worker) -> list[float]:
    parts = worker.parts
    heartbeat = next(duty for duty in worker.duties if isinstance(duty, Heartbeat))
    deliver = next(duty for duty in worker.duties if isinstance(duty, Deliver))
    heartbeat.beat(1.0)
    row = parts.journal.take(_HERE, OpRun(id="at-work", image="train:1", attempt=1, lease="l"), "docker")
    parts.journal.update(row.key, started_acked=True)
    deliver.step()
    taken = []
    for number in range(TURNS):
        began = time.thread_time()
        parts.journal.events(row.key, [EventReport(type=EventType.INFO, msg=f"step {number}")])
        deliver.step()
        heartbeat.beat(1.0)
        worker.parts.claim_requests.next(0.0)
        taken.append((time.thread_time() - began) * 1000)
    assert parts.journal.outbox(row.key) == [], "the run's own events were not delivered"
    return taken


def _hold(path: Path, count: int) -> None:
    """Write ended runs of the other server, as the journal itself writes them."""
    if not count:
        return
    journal = Journal(path, SystemClock())
    row = journal.take(_AWAY, OpRun(id="held-0", image="train:1", attempt=1, lease="l"), "docker")
    journal.update(row.key, cleaned=True, started_acked=True)
    ended = EventReport(type=EventType.COMPLETED, payload={"loss": 0.1}, attempt=1, lease="l")
    journal.finish(row.key, Outcome.COMPLETED, "exit 0", [ended])
    journal.close()
    with closing(sqlite3.connect(path)) as db, db:
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(runs)") if name not in ("key", "run_id")]
        names = ", ".join(columns)
        db.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            f" INSERT INTO runs (run_id, {names}) SELECT 'held-' || i, {names} FROM runs, n",
            (count - 1,),
        )
        db.execute("UPDATE runs SET run = json_set(run, '$.id', run_id)")
        db.execute(
            "INSERT INTO outbox (run, seq, kind, body) SELECT runs.key, outbox.seq, kind, body FROM runs, outbox"
            " WHERE outbox.id = 1 AND runs.key > 1"
        )


if __name__ == "__main__":
    main()
