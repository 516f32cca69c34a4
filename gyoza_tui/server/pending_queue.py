"""The runs whose time has come, in the order in which they are placed."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, bindparam, func, or_, select

from gyoza_tui.server import schema
from gyoza_tui.server.room import Need
from gyoza_tui.server.rows import DAMAGED, dumps
from gyoza_tui.server.scheduler import Offer, PendingRun, Rank
from gyoza_tui.server.server_time import Micros
from gyoza_tui.server.waiting_ancestors import WaitingAncestors

_PAGE: Final = 64

# built once: to build a statement takes longer than to execute it
_RUNS: Final = schema.runs.c
_HELD: Final = select(schema.attempts.c.run_id).where(schema.attempts.c.run_id == _RUNS.id, schema.HELD_OF_RUN)
DUE: Final = and_(
    schema.PLACEABLE,
    ~_RUNS.after_children,
    ~_HELD.exists(),
    or_(_RUNS.not_before.is_(None), _RUNS.not_before <= bindparam("due")),
)
"""Runs that may be placed at the time `due`."""
_PENDING_RUN: Final = (
    _RUNS.id,
    _RUNS.priority,
    _RUNS.depth,
    _RUNS.seq,
    _RUNS.avoid_worker,
    _RUNS.alone_s,
    _RUNS.parent_id,
)
RANK: Final = (_RUNS.priority.desc(), _RUNS.depth.desc(), _RUNS.seq)
_FIRST: Final = (
    select(_RUNS.seq)
    .where(_RUNS.need == schema.queued.c.need, DUE)
    .order_by(*RANK)
    .limit(1)
    .correlate(schema.queued)
    .scalar_subquery()
)
_head: Final = schema.runs.alias("head")
_HEADS: Final = select(schema.queued.c.need, *(_head.c[column.name] for column in _PENDING_RUN)).join_from(
    schema.queued, _head, _head.c.seq == _FIRST
)
_BEHIND: Final = (
    select(*_PENDING_RUN)
    .where(_RUNS.need == bindparam("need"), DUE)
    .where(
        or_(
            _RUNS.priority < bindparam("priority"),
            and_(_RUNS.priority == bindparam("priority"), _RUNS.depth < bindparam("depth")),
            and_(
                _RUNS.priority == bindparam("priority"),
                _RUNS.depth == bindparam("depth"),
                _RUNS.seq > bindparam("seq"),
            ),
        )
    )
)
_PAGE_BEHIND: Final = _BEHIND.order_by(*RANK).limit(_PAGE)
_WAITING_ROOTS: Final = select(func.json_each(bindparam("roots")).table_valued("value").c.value)
_CHILDREN_BEHIND: Final = (
    _BEHIND.where(_RUNS.parent_id.is_not(None), _RUNS.root_id.in_(_WAITING_ROOTS)).order_by(*RANK).limit(_PAGE)
)
_NAMED_BEHIND: Final = _BEHIND.where(_RUNS.id.in_(bindparam("named", expanding=True)))
_PAUSES: Final = select(schema.pauses).where(schema.pauses.c.until > bindparam("due"))


class PendingQueue:
    """By need and rank, as they stand in one transaction."""

    def __init__(self, connection: Connection, due: Micros) -> None:
        self._connection = connection
        self._due = due
        self._heads = {head.need: head for head in connection.execute(_HEADS, {"due": due})}
        self._paused = _paused(connection, due)
        self._ancestors = WaitingAncestors(connection)
        self.needs = readable(self._heads)
        """By their texts."""

    def firsts(self) -> list[tuple[PendingRun, Need]]:
        """The first run of each need."""
        runs = self._pending([self._heads[text] for text in self.needs])
        return list(zip(runs, self.needs.values(), strict=True))

    def of(self, text: str, offers: list[Offer]) -> Iterator[PendingRun]:
        """Those of one need that an offer may take, read in pages: most of a long queue is never looked at."""
        need = self.needs[text]
        page: Sequence[Row[Any]] = [self._heads[text]]
        while page:
            yield from self._pending(page)
            last = page[-1]
            after = {"need": text, "priority": last.priority, "depth": last.depth, "seq": last.seq, "due": self._due}
            page = self._page([offer for offer in offers if offer.has_room(need)], need, after)

    def _rows(self, query: Select[Any], asked: dict[str, Any]) -> list[Row[Any]]:
        return list(self._connection.execute(query, asked))

    def _page(self, offers: list[Offer], need: Need, after: dict[str, Any]) -> list[Row[Any]]:
        """The next runs that these offers, which have room, may take."""
        if any(offer.is_open(need) for offer in offers):
            return self._rows(_PAGE_BEHIND, after)
        children: list[Row[Any]] = []
        if any(offer.children or offer.only is None for offer in offers) and (roots := self._ancestors.roots):
            children = self._rows(_CHILDREN_BEHIND, after | {"roots": dumps(sorted(roots))})
        names = sorted(frozenset().union(*(offer.only for offer in offers if offer.only)))
        named = self._rows(_NAMED_BEHIND, after | {"named": names}) if names else []
        if len(children) == _PAGE:
            # of those named, what comes after this page is in a later one
            named = [row for row in named if _rank(row) < _rank(children[-1])]
        return sorted({row.id: row for row in (*children, *named)}.values(), key=_rank)

    def _pending(self, rows: Sequence[Row[Any]]) -> Iterator[PendingRun]:
        self._ancestors.look_up(row.parent_id for row in rows)
        for row in rows:
            yield PendingRun(
                row.id,
                _rank(row),
                frozenset(self._paused.get(row.id, ())),
                row.avoid_worker,
                alone=row.alone_s > 0,
                waited_for_at=self._ancestors.workers(row.parent_id),
            )


def _rank(row: Row[Any]) -> Rank:
    return -row.priority, -row.depth, row.seq


def readable(texts: Iterable[str]) -> dict[str, Need]:
    """What a damaged run needs is not known, and it waits."""
    found = {}
    for text in texts:
        with contextlib.suppress(*DAMAGED):
            found[text] = Need.loads(text)
    return found


def _paused(connection: Connection, due: Micros) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in connection.execute(_PAUSES, {"due": due}):
        found[row.run_id].add(row.worker_id)
    return found
