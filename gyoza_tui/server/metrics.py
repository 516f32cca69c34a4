"""The server's metrics, read from its data when somebody scrapes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from sqlalchemy import Connection, bindparam, func, select

from gyoza_tui import __version__
from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.server import rooms, schema, worker_views
from gyoza_tui.server.room import Need
from gyoza_tui.server.rows import DAMAGED
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.why_waiting import Kind, placement

NEEDS_MAX: Final = 100
"""Kinds of runs for which the workers are looked at; those that most runs wait for."""
_PREFIX: Final = "gyoza_server"
_BACKING_OFF: Final = "backing_off"
_HELD: Final = "held"
"""Someone holds it back."""
_NEXT: Final = "next"
"""A worker has room for it."""
_NOT_LOOKED_AT: Final = "not_looked_at"
_REASONS: Final = (*Kind, _BACKING_OFF, _HELD, _NEXT, _NOT_LOOKED_AT)
_WORKER_STATES: Final = (*WorkerState, worker_views.SILENT, worker_views.LOST)

_BY_STATE: Final = select(schema.runs.c.state, func.count()).group_by(schema.runs.c.state)
_QUEUED: Final = select(schema.queued.c.need, schema.queued.c.runs).order_by(schema.queued.c.runs.desc())
_LATER: Final = (
    select(schema.runs.c.need, func.count())
    .where(schema.PLACEABLE, schema.runs.c.not_before > bindparam("due"))
    .group_by(schema.runs.c.need)
)
_HELD_BACK: Final = select(func.count()).where(schema.runs.c.held_by.is_not(None))


class ServerCollector:
    """No label but from a fixed list: neither runs nor workers by name."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared

    def collect(self) -> Iterator[Metric]:
        shared = self._shared
        with shared.database.reading() as connection:
            runs: dict[str, int] = dict(connection.execute(_BY_STATE).all())
            waiting = self._waiting(connection)
        workers = Counter(worker_views.state_of(shared, known) for known in shared.roster.all())
        yield InfoMetricFamily(_PREFIX, "Which gyoza-tui this is.", {"version": __version__})
        yield _gauges("runs", "Runs by state.", "state", ((state, runs.get(state, 0)) for state in RunState))
        queue = ((reason, waiting[reason]) for reason in _REASONS)
        yield _gauges("queued_runs", "Runs that wait, by what they wait for.", "reason", queue)
        yield _gauges("workers", "Workers by state.", "state", ((state, workers[state]) for state in _WORKER_STATES))
        yield GaugeMetricFamily(f"{_PREFIX}_open_claims", "Claims that wait for a run.", len(shared.claims.open()))
        yield self._requests()

    def _waiting(self, connection: Connection) -> Counter[str]:
        shared = self._shared
        later: dict[str, int] = dict(connection.execute(_LATER, {"due": shared.server_time.due()}).all())
        free = list(rooms.all_rooms(shared.roster, connection, shared.server_time).values())
        whole = rooms.whole_rooms(shared.roster, shared.server_time)
        found = Counter({_HELD: connection.execute(_HELD_BACK).scalar_one()})
        for number, (text, total) in enumerate(connection.execute(_QUEUED)):
            found[_BACKING_OFF] += later.get(text, 0)
            reason = _NOT_LOOKED_AT
            if number < NEEDS_MAX:
                try:
                    why = placement(Need.loads(text), free, whole)
                except DAMAGED:
                    continue
                reason = _NEXT if why is None else why.kind
            found[reason] += total - later.get(text, 0)
        return found

    def _requests(self) -> Metric:
        answered = CounterMetricFamily(
            f"{_PREFIX}_requests", "Requests that were answered.", labels=["method", "path", "status"]
        )
        for (method, path, status), number in dict(self._shared.requests).items():
            answered.add_metric([method, path, str(status)], number)
        return answered


def _gauges(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=[label])
    for of_label, value in values:
        family.add_metric([of_label], value)
    return family
