"""Creating runs: ad hoc, or from a definition."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.definitions import InputValidationError, OpDefinition, OpSpec, fit_inputs
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.nested import Parent
from gyoza_tui.models.runs import DefinitionRunRequest, RunRequest
from gyoza_tui.models.states import RunState
from gyoza_tui.server import definitions, request_hash, retries, rows, schema
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.families import Creator
from gyoza_tui.server.request_hash import CreateRequest
from gyoza_tui.server.room import Need
from gyoza_tui.server.run_change import RunChange
from gyoza_tui.server.shared_state import SharedState

_STORED = set(OpSpec.model_fields) - {"secret_env"}
"""What of an op is kept in the column `spec`."""
# built once: to build a statement takes longer than to execute it
_NEW_RUN = schema.runs.insert()


@dataclass(frozen=True, slots=True)
class _New:
    """A run about to be stored."""

    request: CreateRequest
    creator: Creator | None
    spec: OpSpec
    inputs: dict[str, Any]
    definition: OpDefinition | None = None


def create(shared: SharedState, tx: Transaction, request: RunRequest) -> str:
    """An ad hoc run's id; the same id and body means the run that is there."""
    creator = _creator(shared, tx, request.parent)
    if creator is not None:
        creator.check_ad_hoc(request)
    if (known := _known(shared, tx, request, None, creator)) is not None:
        return known
    return _store(shared, tx, _New(request, creator, request, request.inputs))


def create_from_definition(shared: SharedState, tx: Transaction, name: str, request: DefinitionRunRequest) -> str:
    """A run's id, with the request's overrides in place of what its definition says."""
    creator = _creator(shared, tx, request.parent)
    if creator is not None:
        creator.check_definition()
    if (known := _known(shared, tx, request, name, creator)) is not None:
        return known
    definition = definitions.find(tx.connection, name, request.version)
    try:
        inputs = fit_inputs(definition, request.inputs)
    except InputValidationError as fault:
        raise Refused(400, ErrorCode.INPUTS, "; ".join(fault.errors)) from None
    return _store(shared, tx, _New(request, creator, _overridden(definition, request), inputs, definition))


def _overridden(definition: OpDefinition, request: DefinitionRunRequest) -> OpDefinition:
    own = (request.constraints or Constraints()).model_dump(exclude_none=True)
    return definition.model_copy(
        update={
            "constraints": definition.constraints.model_copy(update=own),
            "timeout_s": request.timeout_s or definition.timeout_s,
            "retry_policy": request.retry_policy or definition.retry_policy,
        }
    )


def _creator(shared: SharedState, tx: Transaction, parent: Parent | None) -> Creator | None:
    return None if parent is None else Creator.proven(shared, tx, parent)


def _store(shared: SharedState, tx: Transaction, new: _New) -> str:
    run_id, now = new.request.id or str(uuid.uuid4()), shared.server_time.shown()
    definition = None if new.definition is None else new.definition.id
    spec = new.spec.model_dump(mode="json", include=_STORED)
    family: dict[str, Any] = {"priority": new.request.priority}
    if new.creator is not None:
        spec["may_submit"] = new.spec.may_submit.least(new.creator.may_submit)
        new.creator.count_child(tx)
        family = new.creator.columns(detach=new.request.detach)
    tx.connection.execute(
        _NEW_RUN,
        {
            "id": run_id,
            "state": RunState.PENDING,
            "spec": rows.dumps(spec),
            "secret_env": rows.dumps(new.spec.secret_env),
            "inputs": rows.dumps(new.inputs),
            "op_definition": definition,
            "op_version": new.definition and new.definition.version,
            "topic": new.spec.event_delivery.topic or None,
            "request_hash": request_hash.of(new.request, definition),
            "created_at": now,
            "updated_at": now,
            "current_attempt": 1,
            "need": Need.of(new.spec).dumps(),
            **family,
        },
    )
    retries.new_attempt(tx, run_id, 1, spec["constraints"])
    shared.work_changed = True
    return run_id


def _known(
    shared: SharedState, tx: Transaction, request: CreateRequest, definition: str | None, creator: Creator | None
) -> str | None:
    """The run that is there, if it asked for the same. A later attempt of its parent gets it back as it is, but one
    that failed or was cancelled is retried, once for each attempt that asks for it."""
    run = None if request.id is None else rows.run_row(tx.connection, request.id)
    if run is None:
        return None
    if not request_hash.asks_for(run.request_hash, request, definition):
        raise Refused(409, ErrorCode.CONFLICT, f"there is a run {run.id} already, and it asked for something else")
    if run.parent_id != (None if creator is None else creator.run.id):
        raise Refused(409, ErrorCode.CONFLICT, f"there is a run {run.id} already, with another parent")
    if creator is not None and creator.attempt > run.parent_attempt:
        _ask_again(RunChange(shared, tx, run.id), creator)
    return request.id


def _ask_again(run: RunChange, creator: Creator) -> None:
    run.set_run(parent_attempt=creator.attempt)
    if run.state in (RunState.FAILED, RunState.CANCELLED):
        retries.by_hand(run, f"attempt {creator.attempt} of its parent asked for it")
