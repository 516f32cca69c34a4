"""The list of runs, newest first, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, and_, func, or_, select

from gyoza_tui.models.filters import Key, RunFacts, RunFilter, server_facts, words_of
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.server import rows
from gyoza_tui.server.hub import Hub
from gyoza_tui.server.moments import Micros, to_utc
from gyoza_tui.server.runs import Placements
from gyoza_tui.server.schema import attempts, runs

PAGE_BYTES: Final = 16 * MIB
"""A page ends early rather than grow beyond this."""
LOOKED_AT_MAX: Final = 20_000
"""Runs that are held against a filter for one page; there may be a million, and others wait to be answered."""
_IMAGE: Final = func.json_extract(runs.c.spec, "$.image")
_OP: Final = func.coalesce(runs.c.op_definition + "@" + func.coalesce(runs.c.op_version, ""), "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs a list shows; None is any."""

    state: RunState | None = None
    topic: str | None = None
    worker_id: str | None = None
    definition: str | None = None
    since: Micros | None = None
    terms: RunFilter = field(default_factory=RunFilter)


def page(
    hub: Hub, connection: Connection, wanted: Wanted, limit: int, before: int | None
) -> tuple[list[OpRun], int | None]:
    """Without events and attempts; and where the next page begins, None at the end."""
    found, rest = _found(hub, connection, wanted, limit, before)
    placements, size = Placements(hub, connection), 0
    listed: list[OpRun] = []
    last: int | None = None
    for run in found:
        current = rows.current_attempts(connection, [run]).get(run.id)
        size += len(run.inputs) + len(run.spec) + (len(current.outputs or "") if current else 0)
        if listed and size > PAGE_BYTES:
            return listed, last
        listed.append(rows.run_of(run, current, placement=placements.of(run)))
        last = run.seq
    return listed, rest


def _found(
    hub: Hub, connection: Connection, wanted: Wanted, limit: int, before: int | None
) -> tuple[list[Row[Any]], int | None]:
    """At most `limit` rows, and where to look for more."""
    if not wanted.terms:
        found = list(connection.execute(_query(select(runs), wanted, before).limit(limit + 1)))
        return found[:limit], found[limit - 1].seq if len(found) > limit else None
    numbers: list[int] = []
    last, looked_at = None, 0
    for number, facts in islice(_facts(connection, wanted, before), LOOKED_AT_MAX):
        last, looked_at = number, looked_at + 1
        if wanted.terms.matches(facts, to_utc(hub.moments.shown()).timestamp()):
            numbers.append(number)
            if len(numbers) == limit:
                break
    by_number = {run.seq: run for run in connection.execute(select(runs).where(runs.c.seq.in_(numbers)))}
    more = len(numbers) == limit or looked_at == LOOKED_AT_MAX
    return [by_number[number] for number in numbers], last if more else None


def _facts(connection: Connection, wanted: Wanted, before: int | None) -> Iterator[tuple[int, RunFacts]]:
    """What the terms look at, of each run that may match."""
    columns = (runs.c.seq, runs.c.id, runs.c.state, runs.c.op_definition, runs.c.op_version, runs.c.topic)
    query = select(*columns, _IMAGE.label("image"), runs.c.updated_at, attempts.c.worker_id, attempts.c.error_message)
    query = _query(query.outerjoin(attempts, _current(attempts)), wanted, before).where(*_narrowing(wanted.terms))
    with connection.execution_options(yield_per=500).execute(query) as found:
        for row in found:
            facts = server_facts(
                row.id,
                RunState(row.state),
                image=row.image,
                definition=row.op_definition,
                version=row.op_version,
                worker=row.worker_id,
                topic=row.topic,
                error=row.error_message,
                updated_at=row.updated_at / 1e6,
            )
            yield row.seq, facts


def _narrowing(terms: RunFilter) -> Iterator[ColumnElement[bool]]:
    """What the database can tell of the terms faster than by looking at each run."""
    for term in terms.terms:
        if term.negated:
            continue
        folded = [value.casefold() for value in term.values]
        if term.key is Key.STATE:
            yield runs.c.state.in_([state for state in RunState if set(words_of(state)) & set(term.values)])
        elif term.key is Key.RUN:
            yield or_(*(func.instr(func.lower(runs.c.id), value) == 1 for value in term.values))
        elif term.key is Key.OP:
            yield or_(*(_holds(column, value) for value in folded for column in (_IMAGE, _OP)))
        elif term.key is Key.WORKER:
            yield or_(*(_holds(attempts.c.worker_id, value) for value in folded))


def _holds(column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
    """SQLite's `lower` knows the letters of ASCII only: for what holds no others."""
    return func.instr(func.lower(column), value) > 0


def _current(table: FromClause) -> ColumnElement[bool]:
    return and_(table.c.run_id == runs.c.id, table.c.attempt == runs.c.current_attempt)


def _held_by(worker_id: str) -> ColumnElement[bool]:
    current = attempts.alias("current")
    return select(current.c.run_id).where(_current(current), current.c.worker_id == worker_id).exists()


def _query(query: Select[Any], wanted: Wanted, before: int | None) -> Select[Any]:
    query = query.order_by(runs.c.seq.desc())
    for column, value in (
        (runs.c.state, wanted.state),
        (runs.c.topic, wanted.topic),
        (runs.c.op_definition, wanted.definition),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.worker_id is not None:
        query = query.where(_held_by(wanted.worker_id))
    if wanted.since is not None:
        query = query.where(runs.c.created_at >= wanted.since)
    if before is not None:
        query = query.where(runs.c.seq < before)
    return query
