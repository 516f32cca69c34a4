"""The workers as this process knows them: what their rows say, and what each beat changes without a row."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from gyoza_tui.models.workers import HeartbeatRequest, RunningOpReport
from gyoza_tui.server import schema
from gyoza_tui.server.free_room import Free
from gyoza_tui.server.server_time import Micros

_LOG = logging.getLogger(__name__)

CHANGING: Final = {"worker_id", "instance_id", "epoch", "beat", "running_ops", "free_slots", "away_s"}
"""Fields of a beat that its worker's row does not keep, or keeps in a column of their own."""

_ALL_HELD = (
    select(schema.attempts, schema.runs.c.state.label("run_state"), schema.runs.c.current_attempt)
    .join(schema.runs, schema.runs.c.id == schema.attempts.c.run_id)
    .where(schema.attempts.c.held)
)
_HELD_BY = _ALL_HELD.where(schema.attempts.c.worker_id.in_(bindparam("workers", expanding=True)))


class Held(NamedTuple):
    """An attempt whose resources are counted, and what its run says of it."""

    run_id: str
    attempt: int
    lease: str
    state: str
    started: bool
    worker_id: str
    run_state: str
    current: bool

    @property
    def key(self) -> tuple[str, int, str]:
        return self.run_id, self.attempt, self.lease


@dataclass(slots=True)
class Known:
    """One worker."""

    worker_id: str
    report: HeartbeatRequest
    """The last beat, without its runs."""
    instance_id: str | None
    epoch: int | None
    last_seen: float
    """Boot time of the last beat; of this server's start for a worker not heard of since."""
    seen_at: Micros
    """The same for people."""
    away_until: Micros | None = None
    beat: int | None = None
    """The number of the last beat of this epoch."""
    beaten: bool = False
    """Whether a beat reached this process."""
    lists: bool = False
    """Whether its beats say what it runs, so that what they do not say means something."""
    running: list[RunningOpReport] = field(default_factory=list)
    heard: dict[tuple[str, int, str], float] = field(default_factory=dict)
    """Boot time at which an attempt was last listed, or else given."""
    listed: set[tuple[str, int, str]] = field(default_factory=set)
    free_slots: int | None = None
    slots_told: int | None = None
    """The free slots for which a claim was answered early already."""
    nudge: bool = False
    """Something changed that only a beat will tell; the next claim is answered early and empty."""
    free: Free | None = None
    """What it has free, as the writer read it last; None once that may have changed."""


class Roster:
    """Touched by the writer thread only; others may look."""

    def __init__(self, boot: float, lease_s: float) -> None:
        self._boot = boot
        self._lease_s = lease_s
        self._workers: dict[str, Known] = {}

    def load(self, connection: Connection) -> None:
        """Make what rows say true again: at start, and after a transaction that could not be committed."""
        rows = {row.worker_id: row for row in connection.execute(select(schema.workers))}
        for worker_id in set(self._workers) - set(rows):
            del self._workers[worker_id]
        for row in rows.values():
            try:
                report = HeartbeatRequest.model_validate_json(row.body)
            except ValueError:
                _LOG.warning(
                    "the row of worker %s is damaged: the worker is known again at its next beat", row.worker_id
                )
                self.drop(row.worker_id)
                continue
            known = self._workers.get(row.worker_id)
            if known is None:
                # this process knows it by its row only: its first claim is sent back to beat
                known = Known(row.worker_id, report, row.instance_id, row.epoch, self._boot, row.last_seen, nudge=True)
                self._workers[row.worker_id] = known
            known.report, known.instance_id, known.epoch = report, row.instance_id, row.epoch
            known.away_until = row.away_until
            known.free = None
            known.lists = known.lists or row.instance_id is not None

    def get(self, worker_id: str) -> Known | None:
        return self._workers.get(worker_id)

    def put(self, known: Known) -> None:
        self._workers[known.worker_id] = known

    def drop(self, worker_id: str) -> None:
        self._workers.pop(worker_id, None)

    def all(self) -> list[Known]:
        return sorted(self._workers.values(), key=lambda known: known.worker_id)

    def live(self, known: Known, now: float) -> bool:
        """Heard of by this process within its lease."""
        return known.beaten and now - known.last_seen <= self._lease_s

    def touch(self, worker_id: str | None) -> None:
        """A row that counts for what this worker has free has changed."""
        if worker_id is not None and (known := self._workers.get(worker_id)) is not None:
            known.free = None


def held_attempts(connection: Connection, worker_ids: Iterable[str] | None = None) -> list[Held]:
    """The attempts whose resources are counted; of these workers, or of all."""
    if worker_ids is None:
        rows = connection.execute(_ALL_HELD)
    else:
        rows = connection.execute(_HELD_BY, {"workers": list(worker_ids)})
    return [
        Held(
            run_id=row.run_id,
            attempt=row.attempt,
            lease=row.lease,
            state=row.state,
            started=row.started_at is not None,
            worker_id=row.worker_id,
            run_state=row.run_state,
            current=row.attempt == row.current_attempt,
        )
        for row in rows
    ]
