"""Open claims: long polls that are woken, never polled."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import defaultdict
from collections.abc import Iterable

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import ClaimRequest, WorkerState


class OpenClaim:
    """One claim from its arrival to its answer. Its end is decided once, by the writer or by its own handler."""

    def __init__(self, key: int, worker_id: str, request: ClaimRequest) -> None:
        self.key = key
        self.worker_id = worker_id
        self.request = request
        self.state: WorkerState | None = None
        """The worker's state when the claim was opened."""
        self._loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[list[OpRun]] = self._loop.create_future()
        self._lock = threading.Lock()
        self._ended = False

    @property
    def ended(self) -> bool:
        return self._ended

    def end(self) -> bool:
        """Take the right to answer; False when it is taken already (or the client has hung up)."""
        with self._lock:
            first, self._ended = not self._ended, True
        return first

    def answer(self, runs: list[OpRun]) -> None:
        """Called by whoever holds the right to answer, from any thread."""
        self._loop.call_soon_threadsafe(self._set, runs)

    def _set(self, runs: list[OpRun]) -> None:
        if not self.answered.done():
            self.answered.set_result(runs)


class Claims:
    """All open claims."""

    def __init__(self) -> None:
        self._open: defaultdict[str, dict[int, OpenClaim]] = defaultdict(dict)
        """By worker."""
        self._keys = itertools.count(1)
        self._lock = threading.Lock()
        self._stopping = False

    def new(self, worker_id: str, request: ClaimRequest) -> OpenClaim:
        return OpenClaim(next(self._keys), worker_id, request)

    def add(self, claim: OpenClaim) -> None:
        with self._lock:
            if not self._stopping:
                self._open[claim.worker_id][claim.key] = claim
                return
        self.answer_empty([claim])

    def remove(self, claim: OpenClaim) -> None:
        with self._lock:
            own = self._open.get(claim.worker_id, {})
            own.pop(claim.key, None)
            if not own:
                self._open.pop(claim.worker_id, None)

    def open(self, worker_id: str | None = None) -> list[OpenClaim]:
        with self._lock:
            some = self._open.values() if worker_id is None else [self._open.get(worker_id, {})]
            return [claim for own in some for claim in own.values() if not claim.ended]

    def answer_empty(self, claims: Iterable[OpenClaim]) -> int:
        """Have these workers beat and claim again at once; how many were still open."""
        answered = 0
        for claim in claims:
            if claim.end():
                claim.answer([])
                answered += 1
        return answered

    def stop(self) -> None:
        """Answer every claim, and from now on each new one at once."""
        with self._lock:
            self._stopping = True
        self.answer_empty(self.open())
