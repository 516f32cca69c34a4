"""What time alone brings about: eviction, backstops, runs whose back-off is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from sqlalchemy import select

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.failures import Failure, Reason
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.server import assignment, schema, secret_env, workers
from gyoza_tui.server import run_ends as ends
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.received import ObjectText
from gyoza_tui.server.roster import held_attempts
from gyoza_tui.server.run_change import Entry, RunChange
from gyoza_tui.server.shared_state import Hub

TICK_S = 1.0
LATE_S = 5.0
_LOG = logging.getLogger(__name__)


class Clockwork:
    """Ticks once a second; every tick is one transaction."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._last = hub.moments.boot()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="gyoza-clockwork")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self._hub.change(self.tick)
            except Exception as error:  # a Refused of another code too: nothing starts this task again
                if isinstance(error, Refused) and error.code is ErrorCode.BUSY:
                    _LOG.warning("%s", error.detail)
                else:
                    _LOG.exception("a tick failed; the next one tries again")

    def tick(self, tx: Transaction) -> None:
        hub, now = self._hub, self._hub.moments.boot()
        if now - self._last > TICK_S + LATE_S:
            # the whole machine stood still: the workers' beats may be waiting in the socket
            hub.spared_until = max(hub.spared_until, now + hub.timings.failover_s)
        self._last = now
        if now >= hub.spared_until:
            self._evict(tx, now)
            self._take_back_unheard(tx, now)
        self._stop_overdue(tx)
        self._erase(tx)
        # back-offs and pauses end, workers fall silent: none of that is anybody's request
        hub.work_changed = True

    def _evict(self, tx: Transaction, now: float) -> None:
        hub = self._hub
        holders = {one.worker_id for one in held_attempts(tx.connection)}
        for worker_id in sorted(holders):
            known = hub.roster.get(worker_id)
            silent = hub.timings.eviction_s + 1 if known is None else now - known.last_seen
            away = known is not None and known.away_until is not None and known.away_until > hub.moments.due()
            if silent > hub.timings.eviction_s and not away:
                workers.put_back(hub, tx, worker_id, f"worker {worker_id} was silent for {silent:.0f} s")

    def _take_back_unheard(self, tx: Transaction, now: float) -> None:
        """What was handed out by this process and no beat ever listed: the answer may have been lost on the way."""
        hub = self._hub
        for one in held_attempts(tx.connection):
            known = hub.roster.get(one.worker_id)
            if known is None or not known.lists or one.started or one.key in known.listed:
                continue
            given = known.heard.get(one.key)
            if given is None or now - given <= hub.timings.unlisted_s:
                continue
            run = RunChange(hub, tx, one.run_id)
            if workers.over(one):
                run.free(one.attempt)
            else:
                assignment.unassign(
                    run, f"no beat of worker {one.worker_id} listed it for {hub.timings.unlisted_s:.0f} s"
                )

    def _erase(self, tx: Transaction) -> None:
        hub = self._hub
        if secret_env.erase_overdue(tx.connection, hub.moments.due()) or hub.erased:
            tx.after_commit(hub.empty_log)

    def _stop_overdue(self, tx: Transaction) -> None:
        """The worker counts `timeout_s`; this is for one that does not."""
        runs, attempts, hub = schema.runs, schema.attempts, self._hub
        query = (
            select(
                runs.c.id, schema.readable_json(runs.c.spec, "$.timeout_s").label("timeout_s"), attempts.c.started_at
            )
            .join(attempts, (attempts.c.run_id == runs.c.id) & (attempts.c.attempt == runs.c.current_attempt))
            .where(runs.c.state == RunState.RUNNING)
        )
        for row in tx.connection.execute(query).all():
            if row.timeout_s is None or row.started_at is None:
                continue
            timeout_s = row.timeout_s
            allowed_s = timeout_s + hub.timings.eviction_s
            if hub.moments.due() - row.started_at > allowed_s * 1e6:
                words = (
                    f"its worker reported no end within {allowed_s:.0f} s of its start; its timeout is {timeout_s:g} s"
                )
                failure = ObjectText.of(Failure(reason=Reason.TIMEOUT, message=words).model_dump(mode="json"))
                run = RunChange(hub, tx, row.id)
                worker_id = run.attempt.worker_id
                ends.fail(run, Entry(EventType.FAILED, words, failure), released=False)
                hub.nudge(tx, worker_id)
