"""What time alone brings about: eviction, backstops, runs whose back-off is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from sqlalchemy import select

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.failures import Failure, FailureReason
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.server import assignment, cascade, run_ends, schema, secret_env, workers
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.memory_locks import MemoryLocks
from gyoza_tui.server.received import ObjectText
from gyoza_tui.server.roster import held_attempts
from gyoza_tui.server.run_change import Entry, RunChange
from gyoza_tui.server.shared_state import SharedState

TICK_S = 1.0
LATE_S = 5.0
HUNG_S = 120.0
STEPS = 8
"""Per tick, each a transaction of its own, of what is passed on to the children of runs."""
_LOG = logging.getLogger(__name__)

# built once: to build a statement takes longer than to execute it
_runs, _attempts = schema.runs.c, schema.attempts.c
_TIMED = (
    select(
        _runs.id,
        schema.readable_json(_runs.spec, "$.timeout_s").label("timeout_s"),
        _attempts.started_at,
        _attempts.waited_us,
        _attempts.frozen_us,
    )
    .join(schema.attempts, (_attempts.run_id == _runs.id) & (_attempts.attempt == _runs.current_attempt))
    .where(_runs.state == RunState.RUNNING, _attempts.waiting_since.is_(None), _attempts.frozen_since.is_(None))
)


class Timers:
    """Ticks once a second."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._locks = MemoryLocks(shared)
        self._last = shared.server_time.boot()
        self._task: asyncio.Task[None] | None = None
        self._ended = self._last

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="gyoza-timers")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self._shared.change(self.tick)
                await self._pass_on()
            except Exception as error:  # a Refused of another code too: nothing starts this task again
                if isinstance(error, Refused) and error.code is ErrorCode.BUSY:
                    _LOG.warning("%s", error.detail)
                else:
                    _LOG.exception("a tick failed; the next one tries again")
            self._ended = self._shared.server_time.boot()

    async def _pass_on(self) -> None:
        for _ in range(STEPS):
            if not await self._shared.change(self.pass_on):
                return

    def go_on(self) -> bool:
        """Whether ticks come back, with whatever result: the loop and the writer are at work."""
        return self._shared.server_time.boot() - self._ended < HUNG_S

    def tick(self, tx: Transaction) -> None:
        shared, now = self._shared, self._shared.server_time.boot()
        if now - self._last > TICK_S + LATE_S:
            # the whole machine stood still: the workers' beats may be waiting in the socket
            shared.spared_until = max(shared.spared_until, now + shared.timings.failover_s)
        self._last = now
        if now >= shared.spared_until:
            self._evict(tx, now)
            self._take_back_unheard(tx, now)
        self._stop_overdue(tx)
        self._locks.look(tx)
        self._erase(tx)
        # back-offs and pauses end, workers fall silent: none of that is anybody's request
        shared.work_changed = True

    def pass_on(self, tx: Transaction) -> bool:
        """The next step of what is due to the children of runs; whether there may be more."""
        return cascade.step(self._shared, tx)

    def _evict(self, tx: Transaction, now: float) -> None:
        shared = self._shared
        holders = {one.worker_id for one in held_attempts(tx.connection)}
        for worker_id in sorted(holders):
            known = shared.roster.get(worker_id)
            silent = shared.timings.eviction_s + 1 if known is None else now - known.last_seen
            away = known is not None and known.away_until is not None and known.away_until > shared.server_time.due()
            if silent > shared.timings.eviction_s and not away:
                workers.put_back(shared, tx, worker_id, f"worker {worker_id} was silent for {silent:.0f} s")

    def _take_back_unheard(self, tx: Transaction, now: float) -> None:
        """What was handed out by this process and no beat ever listed: the answer may have been lost on the way."""
        shared = self._shared
        for one in held_attempts(tx.connection):
            known = shared.roster.get(one.worker_id)
            if known is None or not known.lists or one.started or one.key in known.listed:
                continue
            given = known.heard.get(one.key)
            if given is None or now - given <= shared.timings.unlisted_s:
                continue
            run = RunChange(shared, tx, one.run_id)
            if workers.over(one):
                run.free(one.attempt)
            else:
                assignment.unassign(
                    run, f"no beat of worker {one.worker_id} listed it for {shared.timings.unlisted_s:.0f} s"
                )

    def _erase(self, tx: Transaction) -> None:
        shared = self._shared
        if secret_env.erase_overdue(tx.connection, shared.server_time.due()) or shared.erased:
            tx.after_commit(shared.empty_log)

    def _stop_overdue(self, tx: Transaction) -> None:
        """The worker counts `timeout_s`; this is for one that does not. Neither counts waiting and frozen time."""
        shared = self._shared
        for row in tx.connection.execute(_TIMED).all():
            if row.timeout_s is None or row.started_at is None:
                continue
            timeout_s = row.timeout_s
            allowed_s = timeout_s + shared.timings.eviction_s + (row.waited_us + row.frozen_us) / 1e6
            if shared.server_time.due() - row.started_at > allowed_s * 1e6:
                words = (
                    f"its worker reported no end within {allowed_s:.0f} s of its start; its timeout is {timeout_s:g} s"
                )
                failure = ObjectText.of(Failure(reason=FailureReason.TIMEOUT, message=words).model_dump(mode="json"))
                run = RunChange(shared, tx, row.id)
                worker_id = run.attempt.worker_id
                run_ends.fail(run, Entry(EventType.FAILED, words, failure), released=False)
                shared.nudge(tx, worker_id)
