"""The attempt after one that failed: by the run's policy, from the machine's own budget, or by hand."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import bindparam, func, select

from gyoza_tui.models.definitions import RetryPolicy
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.states import Cause, EventType, RunState
from gyoza_tui.server import children, schema, secret_env
from gyoza_tui.server.children import Matter
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.received import ObjectText
from gyoza_tui.server.rows import dumps, loads
from gyoza_tui.server.run_change import Entry, RunChange
from gyoza_tui.server.server_time import Micros

INFRA_BACKOFF_S = 5.0

_NEW_ATTEMPT = schema.attempts.insert().values(
    run_seq=select(schema.runs.c.seq).where(schema.runs.c.id == bindparam("the_run")).scalar_subquery()
)


def new_attempt(tx: Transaction, run_id: str, number: int, constraints: dict[str, Any]) -> None:
    tx.connection.execute(
        _NEW_ATTEMPT,
        {
            "run_id": run_id,
            "the_run": run_id,
            "attempt": number,
            "id": str(uuid.uuid4()),
            "state": RunState.PENDING,
            "constraints": dumps(constraints),
        },
    )


def by_hand(run: RunChange, reason: str | None) -> None:
    """Retry a run that has ended, with both budgets whole again; Refused (400) for any other."""
    if run.state not in (RunState.FAILED, RunState.CANCELLED):
        why = f"run {run.run.id} is {run.state}: only a run that FAILED or was CANCELLED can be retried"
        raise Refused(400, ErrorCode.TRANSITION, why)
    if names := secret_env.erased_names(run.run):
        why = f"the values of its secret_env were erased: submit it again, with {', '.join(names)}"
        raise Refused(409, ErrorCode.SECRETS, f"run {run.run.id} cannot be retried: {why}")
    if run.run.children:
        # those that go on may have got one of their own meanwhile
        children.pass_on(run.tx.connection, run.run.id, Matter.PRIORITY)
    next_attempt(
        run,
        Cause.RETRY,
        reason or "retried by hand",
        op_failures=0,
        infra_retries=0,
        avoid_worker=None,
        not_before=None,
        alone_s=0,
        given_back=0,
        given_back_why=None,
    )


def by_policy(run: RunChange, why: str | None) -> None:
    """The op's own failure."""
    policy, failures = policy_of(run), run.run.op_failures + 1
    run.set_run(op_failures=failures)
    if failures < policy.max_attempts:
        next_attempt(run, Cause.RETRY, why, not_before=_in(run, policy.delay_s(failures)), avoid_worker=None, alone_s=0)


def by_infra(run: RunChange, cause: Cause, worker_id: str | None, why: str | None, **values: Any) -> None:
    """The machine's failure: preferably on another worker than this one."""
    spent = run.run.infra_retries
    if spent < policy_of(run).max_infra_retries:
        delay = INFRA_BACKOFF_S * 2.0**spent
        values |= {"avoid_worker": worker_id, "infra_retries": spent + 1}
        next_attempt(run, cause, why, not_before=_in(run, delay), **values)


def without_charge(run: RunChange, worker_id: str | None, why: str | None, **values: Any) -> None:
    """The machine's failure, or another run's: as `by_infra`, but it costs no budget."""
    values |= {"avoid_worker": worker_id, "not_before": _in(run, INFRA_BACKOFF_S)}
    next_attempt(run, Cause.RETRY, why, **values)


def next_attempt(run: RunChange, cause: Cause, why: str | None, **values: Any) -> None:
    table, last = schema.attempts, run.run.current_attempt
    highest = select(func.max(table.c.attempt)).where(table.c.run_id == run.run.id)
    number = (run.tx.connection.execute(highest).scalar() or 0) + 1
    new_attempt(run.tx, run.run.id, number, loads(run.run.spec).get("constraints", {}))
    run.move(RunState.PENDING, cause, current_attempt=number, **values)
    run.record(number, Entry(EventType.RETRIED, why, ObjectText.of({"after_attempt": last})))


def policy_of(run: RunChange) -> RetryPolicy:
    return RetryPolicy.model_validate(loads(run.run.spec).get("retry_policy", {}))


def _in(run: RunChange, seconds: float) -> Micros | None:
    return run.shared.server_time.due() + int(seconds * 1e6) if seconds > 0 else None
