"""What every part of the server works with: its data, its time, its workers and who waits for news."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from gyoza_tui.models.clock import Clock
from gyoza_tui.server.body_reader import BodyReader
from gyoza_tui.server.claims import Claims
from gyoza_tui.server.database import Database, Transaction
from gyoza_tui.server.ends import Ends
from gyoza_tui.server.reservations import Reservations
from gyoza_tui.server.roster import Roster
from gyoza_tui.server.server_time import ServerTime
from gyoza_tui.server.waiters import Waiters

_T = TypeVar("_T")
DAY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds."""

    lease_s: float = 30.0
    grace_s: float = 300.0
    heartbeat_s: float = 5.0
    failover_s: float = 120.0
    unlisted_s: float = 60.0
    """After which a run that no beat lists goes back."""
    passed_over_s: float = 60.0
    """After which a run that others pass gets a worker reserved; 0: never."""
    secret_env_s: float = 7 * DAY_S
    """How long a run that FAILED or was CANCELLED keeps the values of its secret_env."""

    @property
    def eviction_s(self) -> float:
        return self.lease_s + self.grace_s


class SharedState:
    """One per server."""

    def __init__(self, database: Database, clock: Clock, timings: Timings) -> None:
        self.database = database
        self.server_time = ServerTime(clock)
        self.timings = timings
        self.claims = Claims()
        self.feeds: Waiters[str] = Waiters()
        """By topic: who waits for its next event."""
        self.ends = Ends()
        self.roster = Roster(self.server_time.boot(), timings.lease_s)
        self.reservations = Reservations(timings.passed_over_s)
        self.spared_until = self.server_time.boot() + timings.failover_s
        """Boot time before which nobody is evicted."""
        self.work_changed = False
        """Set by a change that may let a waiting run be given to an open claim."""
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """What was answered: method, path as its route has it, status."""
        self.erased = True
        """Set by a change that erased values, which the database's log still holds."""
        self._readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="gyoza-read")
        self.bodies = BodyReader()
        with database.reading() as connection:
            self.roster.load(connection)

    async def change(self, change: Callable[[Transaction], _T]) -> _T:
        """The result of `change` once it is on disk."""
        return await asyncio.wrap_future(self.database.submit(change))

    async def read(self, question: Callable[[Connection], _T]) -> _T:
        """The answer of `question`, which sees one state of the database."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, question)

    def _read(self, question: Callable[[Connection], _T]) -> _T:
        with self.database.reading() as connection:
            return question(connection)

    def reload(self) -> None:
        """After a commit that failed: forget what memory knew of it."""
        with self.database.reading() as connection:
            self.roster.load(connection)

    def empty_log(self) -> None:
        """Remove what was erased from the database's log too."""
        self.erased = not self.database.empty_log()

    def nudge(self, tx: Transaction, worker_id: str | None) -> None:
        """Have the worker beat soon: something of its runs changed that only a beat tells."""
        known = None if worker_id is None else self.roster.get(worker_id)
        if known is None:
            return
        known.nudge = True

        def tell() -> None:
            if self.claims.answer_empty(self.claims.open(worker_id)):
                known.nudge = False

        tx.after_commit(tell)

    def stop_waiting(self) -> None:
        """Answer every long poll at once."""
        self.claims.stop()
        self.feeds.stop()
        self.ends.stop()

    def close(self) -> None:
        self.stop_waiting()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self.bodies.close()
        self.database.close()
