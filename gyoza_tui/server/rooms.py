"""What workers have free: what they reported, less the constraints of their unreleased attempts, read from the rows.

The writer keeps what it read of a worker in `Known.free` until one of that worker's rows, or its report, changes. So a
turn of the scheduler costs what has changed since the last one, however many workers there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.cores import tenths
from gyoza_tui.models.gpu_room import GpuRoom
from gyoza_tui.models.limits import CPU_MAX
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.server import schema
from gyoza_tui.server.free_room import Counted, Free
from gyoza_tui.server.room import Need, Room, is_alone
from gyoza_tui.server.roster import Known, Roster
from gyoza_tui.server.server_time import ServerTime

_TAKE_CHILDREN: Final = (WorkerState.CLAIMING, WorkerState.DRAINING)
"""States in which a worker takes what the runs that wait there need."""

# built once: to build a statement takes longer than to execute it
_ATTEMPTS: Final = schema.attempts.c
_COUNTED: Final = (
    select(
        _ATTEMPTS.worker_id,
        _ATTEMPTS.constraints,
        _ATTEMPTS.started_at,
        _ATTEMPTS.alone_s,
        _ATTEMPTS.waiting_since,
        schema.backend_of(schema.runs.c.need).label("backend"),
    )
    .join(schema.runs, schema.runs.c.id == _ATTEMPTS.run_id)
    .where(_ATTEMPTS.held)
)
_COUNTED_OF: Final = _COUNTED.where(_ATTEMPTS.worker_id.in_(bindparam("workers", expanding=True)))


@lru_cache(maxsize=4096)
def constraints_of(text: str) -> Constraints:
    """None of them, where the row is damaged: one attempt is no reason to give out nothing."""
    try:
        return Constraints.model_validate_json(text)
    except ValueError:
        return Constraints()


class Rooms:
    """Every worker's room in one turn of the scheduler, which changes them. Each is made when it is asked for."""

    def __init__(self, roster: Roster, connection: Connection, server_time: ServerTime) -> None:
        self._roster = roster
        self._connection = connection
        self._server_time = server_time
        self._made: dict[str, Room] = {}
        self._everyone: list[Room] | None = None

    def fitting(self, needs: Mapping[str, Need], worker_ids: Iterable[str]) -> dict[str, set[str]]:
        """Of each worker that takes runs, or children of its own: the texts of the needs that it has room for now."""
        now = self._server_time.boot()
        takers = [
            known for known in map(self._roster.get, worker_ids) if known and _takes_children(self._roster, known, now)
        ]
        self._read(takers)
        texts = frozenset(needs)
        return {known.worker_id: known.free.fitting(needs, texts) for known in takers if known.free is not None}

    def __getitem__(self, worker_id: str) -> Room:
        return self._made[worker_id] if worker_id in self._made else self._make([worker_id])[0]

    def __iter__(self) -> Iterator[Room]:
        if self._everyone is None:
            known = [each.worker_id for each in self._roster.all()]
            self._make([worker_id for worker_id in known if worker_id not in self._made])
            self._everyone = [self._made[worker_id] for worker_id in known]
        return iter(self._everyone)

    def _make(self, worker_ids: list[str]) -> list[Room]:
        known = [each for each in map(self._roster.get, worker_ids) if each is not None]
        self._read(known)
        for each in known:
            assert each.free is not None
            self._made[each.worker_id] = _room(self._roster, each, each.free.counted, self._server_time)
        return [self._made[each.worker_id] for each in known]

    def _read(self, workers: list[Known]) -> None:
        """Read again what is not known of these, or changes by time alone."""
        stale = [known for known in workers if known.free is None or not known.free.lasting]
        if not stale:
            return
        counted = _counted(self._connection.execute(_COUNTED_OF, {"workers": [known.worker_id for known in stale]}))
        for known in stale:
            own = counted[known.worker_id]
            room = _room(self._roster, known, own, self._server_time)
            # that it is live is checked at each turn
            room.takes_work = known.report.state is WorkerState.CLAIMING
            room.takes_children = known.report.state in _TAKE_CHILDREN
            known.free = Free(own, room)


def all_rooms(roster: Roster, connection: Connection, server_time: ServerTime) -> dict[str, Room]:
    """Of every worker."""
    counted = _counted(connection.execute(_COUNTED))
    return {known.worker_id: _room(roster, known, counted[known.worker_id], server_time) for known in roster.all()}


def room_of(roster: Roster, connection: Connection, server_time: ServerTime, known: Known) -> Room:
    counted = _counted(connection.execute(_COUNTED_OF, {"workers": [known.worker_id]}))
    return _room(roster, known, counted[known.worker_id], server_time)


def rooms_without_runs(roster: Roster, server_time: ServerTime) -> list[Room]:
    """Of every worker, as if none of our runs ran on it."""
    return [_room(roster, known, [], server_time) for known in roster.all()]


def whole_rooms(roster: Roster, server_time: ServerTime) -> list[Room]:
    """Of every worker, as if nothing at all ran on it."""
    rooms = rooms_without_runs(roster, server_time)
    for room in rooms:
        room.gpus = [gpu.without_others() for gpu in room.gpus]
    return rooms


def _counted(rows: Iterable[Row[Any]]) -> defaultdict[str, list[Counted]]:
    found: defaultdict[str, list[Counted]] = defaultdict(list)
    for row in rows:
        waits = row.waiting_since is not None
        counted = Counted(constraints_of(row.constraints), row.backend, row.started_at, row.alone_s, waits)
        found[row.worker_id].append(counted)
    return found


def _room(roster: Roster, known: Known, counted: list[Counted], server_time: ServerTime) -> Room:
    report = known.report
    room = Room(
        worker_id=known.worker_id,
        cpu_tenths=tenths(report.resources.cpu_cores),
        ram_mb=report.resources.ram_mb,
        gpus=[GpuRoom(g.id, g.vram_mb, g.foreign_mb, frozenset(g.tags)) for g in report.resources.gpus],
        tags=frozenset(report.tags),
        backends=frozenset(report.backends),
        ops=frozenset(report.ops),
        features=frozenset(report.features),
        trouble=report.trouble,
        slots=CPU_MAX if report.max_runs is None else report.max_runs,
        takes_work=_takes_work(roster, known, server_time.boot()),
        takes_children=_takes_children(roster, known, server_time.boot()),
    )
    for each in counted:
        if each.waits:
            room.take_waiting(each.constraints)
            continue
        alone = is_alone(each.started_at, each.alone_s, server_time.due())
        room.take(each.constraints, each.backend, alone=alone)
        room.proven[each.backend] += each.alone_s > 0 and not alone
    return room


def _takes_work(roster: Roster, known: Known, now: float) -> bool:
    return roster.live(known, now) and known.report.state is WorkerState.CLAIMING


def _takes_children(roster: Roster, known: Known, now: float) -> bool:
    return roster.live(known, now) and known.report.state in _TAKE_CHILDREN
