"""Creating runs: ad hoc, or from a definition."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

from gyoza_tui.models.definitions import InputValidationError, OpSpec, fit_inputs
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import DefinitionRunRequest, RunRequest
from gyoza_tui.models.states import RunState
from gyoza_tui.server import definitions, retries, rows, schema
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.scheduler import Need
from gyoza_tui.server.shared_state import SharedState

_STORED = set(OpSpec.model_fields) - {"secret_env"}
"""What of an op is kept in the column `spec`."""

# built once: to build a statement takes longer than to execute it
_NEW_RUN = schema.runs.insert()


@dataclass(frozen=True, slots=True)
class _New:
    """A run about to be stored."""

    id: str | None
    spec: OpSpec
    inputs: dict[str, Any]
    priority: int
    request_hash: str
    op_definition: str | None = None
    op_version: str | None = None


def create(shared: SharedState, tx: Transaction, request: RunRequest) -> str:
    """An ad hoc run's id; the same id and body means the run that is there."""
    digest = _hash("", request.model_dump_json())
    return _create(shared, tx, _New(request.id, request, request.inputs, request.priority, digest))


def create_from_definition(shared: SharedState, tx: Transaction, name: str, request: DefinitionRunRequest) -> str:
    if (known := _known(tx, request.id, digest := _hash(name, request.model_dump_json()))) is not None:
        return known
    definition = definitions.find(tx.connection, name, request.version)
    try:
        inputs = fit_inputs(definition, request.inputs)
    except InputValidationError as fault:
        raise Refused(400, ErrorCode.INPUTS, "; ".join(fault.errors)) from None
    return _create(
        shared, tx, _New(request.id, definition, inputs, request.priority, digest, definition.id, definition.version)
    )


def _create(shared: SharedState, tx: Transaction, new: _New) -> str:
    if (known := _known(tx, new.id, new.request_hash)) is not None:
        return known
    run_id, now = new.id or str(uuid.uuid4()), shared.server_time.shown()
    spec = new.spec.model_dump(mode="json", include=_STORED)
    tx.connection.execute(
        _NEW_RUN,
        {
            "id": run_id,
            "state": RunState.PENDING,
            "priority": new.priority,
            "spec": rows.dumps(spec),
            "secret_env": rows.dumps(new.spec.secret_env),
            "inputs": rows.dumps(new.inputs),
            "op_definition": new.op_definition,
            "op_version": new.op_version,
            "topic": new.spec.event_delivery.topic or None,
            "request_hash": new.request_hash,
            "created_at": now,
            "updated_at": now,
            "current_attempt": 1,
            "need": Need.of(new.spec).dumps(),
        },
    )
    retries.new_attempt(tx, run_id, 1, spec["constraints"])
    shared.work_changed = True
    return run_id


def _known(tx: Transaction, run_id: str | None, request_hash: str) -> str | None:
    run = None if run_id is None else rows.run_row(tx.connection, run_id)
    if run is None:
        return None
    if run.request_hash != request_hash:
        raise Refused(409, ErrorCode.CONFLICT, f"there is a run {run.id} already, and it asked for something else")
    return run_id


def _hash(name: str, body: str) -> str:
    return hashlib.sha256(f"{name}\n{body}".encode()).hexdigest()
