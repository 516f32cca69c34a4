"""Which runs have ended, and the requests that wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, exists, func, select

from gyoza_tui.models.limits import ENDED_REPLY_MAX
from gyoza_tui.models.runs import Ended, EndedRequest, EndedRun
from gyoza_tui.models.states import TERMINAL, RunState
from gyoza_tui.server.rows import dumps
from gyoza_tui.server.schema import runs
from gyoza_tui.server.server_time import Micros
from gyoza_tui.server.waiters import Waiters


class _Kind(Enum):
    RUN = auto()
    CHILD = auto()
    """Of that parent."""
    WORKER = auto()


class Key(NamedTuple):
    """What a request waits for."""

    kind: _Kind
    id: str


class News(NamedTuple):
    """What a request waits for. Apart, because a run that fails and is tried again wakes it too, and ends no wait."""

    of_runs: asyncio.Future[Key | None]
    of_worker: asyncio.Future[Key | None]
    """The request is answered whatever has ended."""

    @property
    def ends_the_wait(self) -> bool:
        return self.of_worker.done() or (self.of_runs.done() and self.of_runs.result() is None)


class Ends:
    """The open requests."""

    def __init__(self) -> None:
        self._waiters: Waiters[Key] = Waiters()
        self._lock = threading.Lock()
        self._unanswered: set[str] = set()
        """Workers whose runs have begun or ended to wait while none of their requests was open."""

    @property
    def stopping(self) -> bool:
        return self._waiters.stopping

    @contextlib.contextmanager
    def open(self, request: EndedRequest) -> Iterator[News]:
        """What is woken by the next end of a run that the request is about. Open it, then look for ends."""
        runs = [Key(_Kind.RUN, each) for each in request.ids or ()]
        runs += [Key(_Kind.CHILD, each) for each in request.parents or ()]
        worker = [] if request.worker_id is None else [Key(_Kind.WORKER, request.worker_id)]
        with self._lock:
            news = News(self._waiters.wait(runs), self._waiters.wait(worker))
            if request.worker_id in self._unanswered:
                self._unanswered.discard(request.worker_id)
                news.of_worker.set_result(worker[0])
        try:
            yield news
        finally:
            self._waiters.forget(runs, news.of_runs)
            self._waiters.forget(worker, news.of_worker)

    def wake(self, run_id: str, parent_id: str | None) -> None:
        """The run has ended."""
        self._waiters.wake(Key(_Kind.RUN, run_id))
        if parent_id is not None:
            self._waiters.wake(Key(_Kind.CHILD, parent_id))

    def answer_worker(self, worker_id: str) -> None:
        """Have the worker ask again, with the parents that wait now. After the commit of the beat that names them.

        A request that was sent before that beat and comes after it is answered in the same way.
        """
        with self._lock:
            if not self._waiters.wake(Key(_Kind.WORKER, worker_id)):
                self._unanswered.add(worker_id)

    def stop(self) -> None:
        self._waiters.stop()


# built once: to build a statement takes longer than to execute it
_ENDED: Final = runs.c.state.in_(sorted(TERMINAL))
_SHOWN: Final = (runs.c.id, runs.c.state, runs.c.parent_id, runs.c.ended_seq)
_LAST: Final = select(func.coalesce(func.max(runs.c.ended_seq), 0)).where(runs.c.ended_seq.is_not(None))
_BY_ID: Final = select(*_SHOWN).where(runs.c.id.in_(bindparam("ids", expanding=True)), _ENDED)
_ASKED: Final = func.json_each(bindparam("parents")).table_valued("key", "value")
_OF_ASKED: Final = exists().where(runs.c.parent_id == _ASKED.c.key, runs.c.ended_seq > _ASKED.c.value, _ENDED)
_WITH_NEWS: Final = select(_ASKED.c.key, _ASKED.c.value).where(_OF_ASKED)
_CHILDREN: Final = (
    select(*_SHOWN)
    .where(runs.c.parent_id == bindparam("parent_id"), runs.c.ended_seq > bindparam("cursor"), _ENDED)
    .order_by(runs.c.ended_seq)
    .limit(bindparam("most"))
)


def next_seq(connection: Connection, now: Micros) -> int:
    """The number of the next end: the time, or one more than the last. A run that runs again keeps its number until it
    ends again: none comes twice, not even after a copy of the database was restored."""
    last: int = connection.execute(_LAST).scalar_one()
    return max(last + 1, now)


def found(connection: Connection, request: EndedRequest) -> Ended:
    """What has ended of what the request is about."""
    rows: list[Any] = list(connection.execute(_BY_ID, {"ids": request.ids})) if request.ids else []
    cursors = _known(connection, request.parents or {})
    for parent_id, cursor in connection.execute(_WITH_NEWS, {"parents": dumps(cursors)}).all() if cursors else ():
        if (most := ENDED_REPLY_MAX - len(rows)) <= 0:
            break
        children = connection.execute(_CHILDREN, {"parent_id": parent_id, "cursor": cursor, "most": most}).all()
        cursors[parent_id] = children[-1].ended_seq
        rows += children
    return Ended(runs=[_shown(row) for row in rows], parents=cursors)


def _known(connection: Connection, cursors: dict[str, int]) -> dict[str, int]:
    """Each cursor, but 0 for one that no end has reached: a copy of the database was restored since it was given."""
    if not cursors:
        return {}
    last = connection.execute(_LAST).scalar_one()
    return {parent_id: cursor if cursor <= last else 0 for parent_id, cursor in cursors.items()}


def _shown(row: Row[Any]) -> EndedRun:
    return EndedRun(id=row.id, state=RunState(row.state), parent_id=row.parent_id)
