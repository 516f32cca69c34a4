"""The list of runs, newest first, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, and_, func, or_, select

from gyoza_tui.models.filters import Key, RunFacts, RunFilter, ServerState, server_facts, words_of
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.server import rows
from gyoza_tui.server.placements import Placements
from gyoza_tui.server.schema import attempts, readable_json, runs
from gyoza_tui.server.server_time import Micros, to_utc
from gyoza_tui.server.shared_state import SharedState

PAGE_BYTES: Final = 16 * MIB
"""A page ends early rather than grow beyond this."""
LOOKED_AT_MAX: Final = 20_000
"""Runs that are compared with what is wanted for one page; there may be a million, and others wait to be answered."""
_IMAGE: Final = readable_json(runs.c.spec, "$.image")
_HELD_BY: Final = attempts.alias("held_by")
_OP: Final = func.coalesce(runs.c.op_definition + "@" + func.coalesce(runs.c.op_version, ""), "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs a list shows; None is any."""

    state: RunState | None = None
    topic: str | None = None
    worker_id: str | None = None
    definition: str | None = None
    parent_id: str | None = None
    since: Micros | None = None
    terms: RunFilter = field(default_factory=RunFilter)


def page(
    shared: SharedState, connection: Connection, wanted: Wanted, limit: int, before: int | None
) -> tuple[list[OpRun], int | None]:
    """Without events and attempts; and where the next page begins, None at the end."""
    found, rest = _found(shared, connection, wanted, limit, before)
    placements, size = Placements(shared, connection), 0
    listed: list[OpRun] = []
    last: int | None = None
    for run in found:
        current = rows.current_attempts(connection, [run]).get(run.id)
        size += len(run.inputs) + len(run.spec) + (len(current.outputs or "") if current else 0)
        if listed and size > PAGE_BYTES:
            return listed, last
        listed.append(_shown(run, current, placements))
        last = run.seq
    return listed, rest


def _shown(run: Row[Any], current: Row[Any] | None, placements: Placements) -> OpRun:
    try:
        return rows.run_of(run, current, placement=placements.of(run))
    except rows.DAMAGED as error:
        return rows.damaged_run(run, error)


class _Source(NamedTuple):
    """The runs that one index gives in the order of the list."""

    table: FromClause
    seq: ColumnElement[int]
    equal: ColumnElement[bool] | None = None
    """The equality that the index is for."""

    def query(self, columns: Iterable[Any], before: int | None) -> Select[Any]:
        return self._listed(select(*columns).select_from(self.table), before)

    def last_of_page(self, connection: Connection, before: int | None) -> int | None:
        """The `seq` of the last run to look at for this page; None where there are fewer left."""
        last: int | None = connection.execute(
            self._listed(select(self.seq), before).offset(LOOKED_AT_MAX - 1).limit(1)
        ).scalar()
        return last

    def _listed(self, query: Select[Any], before: int | None) -> Select[Any]:
        query = query.order_by(self.seq.desc())
        if self.equal is not None:
            query = query.where(self.equal)
        return query if before is None else query.where(self.seq < before)


def _found(
    shared: SharedState, connection: Connection, wanted: Wanted, limit: int, before: int | None
) -> tuple[list[Row[Any]], int | None]:
    """At most `limit` rows, and where to look for more."""
    wanted = _with_equal_terms(wanted)
    source, others = _source(wanted)
    last = None
    if others or wanted.terms:
        last = source.last_of_page(connection, before)
    if last is not None:
        others.append(source.seq >= last)
    if not wanted.terms:
        found = list(connection.execute(source.query([*runs.c], before).where(*others).limit(limit + 1)))
        return found[:limit], found[limit - 1].seq if len(found) > limit else last
    numbers: list[int] = []
    now = to_utc(shared.server_time.shown()).timestamp()
    for number, facts in _facts(connection, source, others, wanted.terms, before):
        if wanted.terms.matches(facts, now):
            numbers.append(number)
            if len(numbers) == limit:
                last = number
                break
    by_number = {run.seq: run for run in connection.execute(select(runs).where(runs.c.seq.in_(numbers)))}
    return [by_number[number] for number in numbers], last


def _with_equal_terms(wanted: Wanted) -> Wanted:
    """With the terms that mean one value of a column as that too, for which there is an index."""
    found: dict[str, Any] = {}
    for term in wanted.terms.terms:
        states = [state for state in RunState if set(words_of(state)) & set(term.values)]
        if term.negated or len(term.values) != 1:
            continue
        if term.key is Key.STATE and len(states) == 1 and wanted.state is None:
            found["state"] = states[0]
        elif term.key is Key.WORKER and term.whole and wanted.worker_id is None:
            found["worker_id"] = term.values[0]
        elif term.key is Key.TOPIC and term.whole and wanted.topic is None:
            found["topic"] = term.values[0]
        elif term.key is Key.PARENT and term.whole and wanted.parent_id is None:
            found["parent_id"] = term.values[0]
    return replace(wanted, **found)


def _source(wanted: Wanted) -> tuple[_Source, list[ColumnElement[bool]]]:
    """By which index they are found, and what else must hold of each."""
    others = [runs.c.created_at >= wanted.since] if wanted.since is not None else []
    equal = [
        column == value
        for column, value in (
            (runs.c.parent_id, wanted.parent_id),
            (runs.c.topic, wanted.topic),
            (runs.c.op_definition, wanted.definition),
            (runs.c.state, wanted.state),
        )
        if value is not None
    ]
    if wanted.worker_id is not None:
        others += [*equal, _HELD_BY.c.attempt == runs.c.current_attempt]
        with_runs = _HELD_BY.join(runs, runs.c.seq == _HELD_BY.c.run_seq)
        return _Source(with_runs, _HELD_BY.c.run_seq, _HELD_BY.c.worker_id == wanted.worker_id), others
    if equal:
        return _Source(runs, runs.c.seq, equal[0]), others + equal[1:]
    return _Source(runs, runs.c.seq), others


def _facts(
    connection: Connection, source: _Source, others: list[ColumnElement[bool]], terms: RunFilter, before: int | None
) -> Iterator[tuple[int, RunFacts]]:
    """What the terms look at, of each run that may match."""
    own = (runs.c.seq, runs.c.id, runs.c.state, runs.c.op_definition, runs.c.op_version, runs.c.topic, runs.c.parent_id)
    state = (runs.c.held_by, attempts.c.waiting_since, attempts.c.frozen_since)
    columns = (*own, *state, _IMAGE.label("image"), runs.c.updated_at, attempts.c.worker_id, attempts.c.error_message)
    current = and_(attempts.c.run_id == runs.c.id, attempts.c.attempt == runs.c.current_attempt)
    with_attempts = source._replace(table=source.table.outerjoin(attempts, current))
    query = with_attempts.query(columns, before).where(*others, *_narrowing(terms))
    with connection.execution_options(yield_per=500).execute(query) as found:
        for row in found:
            if row.state not in set(RunState):
                continue
            facts = server_facts(
                row.id,
                _state(row),
                image=row.image or "",
                definition=row.op_definition,
                version=row.op_version,
                worker=row.worker_id,
                topic=row.topic,
                parent=row.parent_id,
                error=row.error_message,
                updated_at=row.updated_at / 1e6,
            )
            yield row.seq, facts


def _state(row: Row[Any]) -> ServerState:
    return ServerState(
        RunState(row.state),
        held=row.held_by is not None,
        waiting=row.waiting_since is not None,
        frozen=row.frozen_since is not None,
    )


def _narrowing(terms: RunFilter) -> Iterator[ColumnElement[bool]]:
    """What the database can tell of the terms faster than by looking at each run."""
    for term in terms.terms:
        if term.negated:
            continue
        folded = [value.casefold() for value in term.values]
        if term.key is Key.STATE:
            yield runs.c.state.in_([state for state in RunState if set(words_of(state)) & set(term.values)])
        elif term.key is Key.RUN:
            yield or_(*(_begins(runs.c.id, value) for value in term.values))
        elif term.key is Key.PARENT and not term.whole:
            yield or_(*(_begins(runs.c.parent_id, value) for value in term.values))
        elif term.key is Key.OP:
            yield or_(*(_holds(column, value) for value in folded for column in (_IMAGE, _OP)))
        elif term.key is Key.WORKER:
            yield or_(*(_holds(attempts.c.worker_id, value) for value in folded))


def _begins(column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
    return func.instr(func.lower(column), value) == 1


def _holds(column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
    """SQLite's `lower` knows the letters of ASCII only: for what holds no others."""
    return func.instr(func.lower(column), value) > 0
