"""Keep a claim open and take what it is answered with."""

from __future__ import annotations

from typing import Final

import httpx

from gyoza_tui.client import Claimed
from gyoza_tui.client.endpoints import CLAIM
from gyoza_tui.models.limits import RUNS_PER_CLAIM_MAX
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import ClaimRequest
from gyoza_tui.worker.attempt_record import AttemptRecord
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.empty_check import EmptyCheck
from gyoza_tui.worker.journal.row import Intent, Outcome
from gyoza_tui.worker.runtime import Runtime
from gyoza_tui.worker.slots import Slots

_EARLY_S: Final = 0.5
_BEAT_S: Final = 2.0
_UNTIL_WOKEN_S: Final = 30.0


class Claim(Duty):
    """A claim is open all the time, with `max` 0 where nothing is wanted: so an answer lost on the way is repeated."""

    name = "claim"

    def __init__(self, runtime: Runtime, slots: Slots, empty_check: EmptyCheck) -> None:
        super().__init__(runtime.clock, runtime.notices, runtime.wakes.claim)
        self._runtime = runtime
        self._slots = slots
        self._empty_check = empty_check
        runtime.link.wakes(runtime.wakes.claim)

    def tick(self) -> float:
        runtime = self._runtime
        if runtime.session.wants_no_claim:
            return _UNTIL_WOKEN_S
        if not runtime.link.state.registered:
            if runtime.link.state.beat_at is not None:  # the first comes by itself
                runtime.wakes.beat.set()
            return _UNTIL_WOKEN_S
        if not runtime.pool.looked_at:
            # the answer may repeat one that was lost with a former start: it must not be given back unseen
            return _UNTIL_WOKEN_S
        if (wait := runtime.link.wait_s(CLAIM)) > 0:
            return wait
        if quiet := self._empty_check.quiet:
            self._beat_first()  # the server gives by what it was told last
        began = self._clock.boot()
        request = self.request(0.0 if quiet else runtime.session.claim_wait_s)
        try:
            answer = runtime.client.claim(runtime.context.worker_id, request)
        except httpx.HTTPError as error:
            runtime.link.failed(CLAIM, error)
            raise
        runtime.link.succeeded(CLAIM)
        news = self.take(answer)
        if quiet and not answer.runs:
            return self._empty_check.nothing_came(request.max)
        self._empty_check.something_came()
        if runtime.link.state.protocol is None:
            return 0.0 if news else runtime.link.state.heartbeat_s
        if not answer.runs and self._clock.boot() - began < request.wait_s - _EARLY_S:
            self._beat_first()
        return 0.0

    def retry_s(self) -> float:
        return max(self._runtime.link.wait_s(CLAIM), super().retry_s())

    def take(self, answer: Claimed) -> int:
        """Journal what is new and start it, or give it back with the reason; how many were started."""
        started = 0
        server_id = answer.server_id or self._runtime.link.state.server_id
        for run in answer.runs:
            attempt = run.attempt or run.current_attempt
            if self._runtime.journal.find(server_id, run.id, attempt, run.lease or None) is None:
                started += self._take(server_id, run.model_copy(update={"attempt": attempt}))
        return started

    def _take(self, server_id: str, run: OpRun) -> bool:
        runtime = self._runtime
        older = [row for row in runtime.active() if row.run_id == run.id]
        # what has ended is only cleaned up after: the server counts it no longer, and the run's slot waits for it
        active = [row for row in runtime.active() if row.run_id != run.id and row.outcome is None]
        run = runtime.admission.placed(run, active)
        refusal = runtime.admission.refusal(run, active)
        if refusal is None and not runtime.link.lease_holds:
            refusal = "the lease may have run out"
        backend = runtime.pool.of(run.image) if refusal is None else None
        row = runtime.journal.take(server_id, run, backend.name if backend else "")
        for superseded in older:
            self._slots.intend(superseded, Intent.LOST, "the server has a newer attempt")
        if refusal is None:
            runtime.notices.say(f"{run.id} claimed: {run.image}", run=run.id, attempt=row.attempt, state="claimed")
            self._slots.start(row)
        else:
            runtime.journal.update(row.key, cleaned=True)
            giving_back = AttemptRecord.giving_back(
                row, runtime.context.worker_id, refusal, final=runtime.admission.never_takes(run, active)
            )
            runtime.journal.finish(row.key, Outcome.RELEASED, refusal, [giving_back])
            runtime.notices.say(f"{run.id} given back: {refusal}", "warning", run=run.id, state="released")
            runtime.wakes.deliver.set()
        runtime.wakes.beat.set()
        return refusal is None

    def request(self, wait_s: float) -> ClaimRequest:
        """The next claim, which lists what is here."""
        runtime = self._runtime
        only = runtime.session.bounds.run_id
        return ClaimRequest(
            max=min(runtime.wanted, RUNS_PER_CLAIM_MAX),
            wait_s=wait_s,
            instance_id=runtime.state_dir.instance_id,
            epoch=runtime.state_dir.epoch,
            have=[row.held for row in runtime.reportable()],
            only=None if only is None else [only],
        )

    def _beat_first(self) -> None:
        """An early empty answer means: there is news in the next beat's reply."""
        runtime = self._runtime
        asked_at = self._clock.boot()
        runtime.wakes.claim.clear()
        runtime.wakes.beat.set()
        while (runtime.link.state.beat_at or 0.0) < asked_at and self._clock.boot() < asked_at + _BEAT_S:
            self._clock.wait(runtime.wakes.claim, 0.1)
            runtime.wakes.claim.clear()
