"""What is asked of the server for each message of an op."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import httpx
from pydantic import ValidationError

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import error_code, not_served
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.failures import Failure
from gyoza_tui.models.identity import check_id
from gyoza_tui.models.limits import ENDED_REPLY_MAX
from gyoza_tui.models.nested import MaySubmit, Parent
from gyoza_tui.models.runs import EndedRequest, EndedRun, OpRun
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.worker.op_channel.messages import Refusal, State, Submit
from gyoza_tui.worker.op_channel.rights import Right

_CHECKED_MAX: Final = 16
"""Children that one wait is checked for. An op that names another's run waits for ever: it is told of no end of it."""


class Look(NamedTuple):
    """Which children of a run have ended behind a cursor."""

    runs: list[EndedRun]
    cursor: int
    checked: list[str]
    """Those of the unknown ones that are children of that run."""
    reports_ends: bool = True
    """Whether the server has the endpoint for that."""


def named_definition(what: str) -> tuple[str, str | None] | None:
    """The name and the version, None for the latest; None for an image. Only a digest may follow an image's @."""
    name, at, version = what.partition("@")
    return (name, version or None) if at and ":" not in version else None


def check_right(submit: Submit, right: Right) -> None:
    """Raises Refusal in words."""
    if right.may is MaySubmit.NO:
        raise Refusal(f"this run may create no more runs: {right.cap}")
    definition = named_definition(submit.what)
    if definition is None:
        if right.may is not MaySubmit.ANY:
            words = "this run may submit definitions only, as NAME@VERSION"
            raise Refusal(f"{submit.what[:80]!a} is an image: {words}; {right.cap}")
        return
    name, version = definition
    try:
        check_id(name)
        check_id(version or name)
    except ValueError as error:
        raise Refusal(f"{error}; a definition is named as NAME@VERSION, or NAME@ for its latest") from None


def create(client: GyozaClient, submit: Submit, child: str, parent: Parent | None) -> OpRun:
    said = {name: getattr(submit, name) for name in ("constraints", "timeout_s", "retry_policy")}
    more: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    more |= {"id": child, "detach": submit.detach, "parent": parent}
    definition = named_definition(submit.what)
    try:
        if definition is None:
            return client.create_run(submit.what, submit.inputs, **more)
        name, version = definition
        return client.create_run_from_definition(name, submit.inputs, version=version, **more)
    except ValidationError as error:
        raise Refusal("; ".join(each["msg"] for each in error.errors())) from None
    except httpx.HTTPStatusError as error:
        if submit.key is None or error_code(error) != ErrorCode.CONFLICT:
            raise
        words = "is that of a child which asked for something else: give this one another key"
        raise Refusal(f"the key {submit.key!a} {words}") from None


def look(client: GyozaClient, run_id: str, cursor: int, unknown: Collection[str]) -> Look:
    """All ends behind the cursor. Raises Refusal for one of `unknown` that is no child of that run."""
    found: list[EndedRun] = []
    try:
        while True:
            ended = client.ended(EndedRequest(parents={run_id: cursor}))
            found += ended.runs
            cursor = ended.parents.get(run_id, cursor)
            if len(ended.runs) < ENDED_REPLY_MAX:
                break
    except httpx.HTTPStatusError as error:
        if not not_served(error):
            raise
        return Look([], cursor, [], reports_ends=False)
    ends = {run.id for run in found}
    checked = [each for each in unknown if each not in ends][:_CHECKED_MAX]
    for child in checked:
        of_parent(client, child, run_id)
    return Look(found, cursor, checked)


def of_parent(client: GyozaClient, child: str, run_id: str, *, events: bool = False) -> OpRun:
    """Raises Refusal where the run is not a child of that one, or there is none."""
    try:
        run = client.get_run(child, events=events)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == 404 and error_code(error) is not None:
            raise _not_a_child(child) from None
        raise
    if run.parent_id != run_id:
        raise _not_a_child(child)
    return run


def state(client: GyozaClient, asked: State, run_id: str, *, known: bool) -> OpRun:
    if known:
        return client.get_run(asked.child, events=asked.result)
    return of_parent(client, asked.child, run_id, events=asked.result)


def cancel(client: GyozaClient, child: str, run_id: str, *, known: bool) -> OpRun:
    """The run as it is then: one that has ended stays as it is."""
    run = client.get_run(child, events=False) if known else of_parent(client, child, run_id)
    if run.state.terminal:
        return run
    try:
        return client.update_run(child, state=RunState.CANCELLED)
    except httpx.HTTPStatusError as error:
        if error_code(error) != ErrorCode.TERMINAL:
            raise
        return client.get_run(child, events=False)


def result(run: OpRun) -> Mapping[str, Any]:
    """What an op reads of a child that has ended."""
    if run.state is RunState.COMPLETED:
        return {"outputs": run.outputs}
    return {"failure": _failure(run)}


def _failure(run: OpRun) -> str:
    """With what the op said of it itself."""
    latest = {event.type: event for event in run.events}
    failed, error = latest.get(EventType.FAILED), latest.get(EventType.ERROR)
    try:
        failure = Failure.model_validate(failed and failed.payload)
    except ValidationError:
        return run.execution_summary.error_message or ""
    cause = failure.cause(error and error.msg)
    return f"{failure.words}: {cause}" if cause else failure.words


def _not_a_child(child: str) -> Refusal:
    return Refusal(f"{child[:80]!a} is not a child of this run")
