"""The roles of keys: what each may do, and what each route does. The check and the documentation use these tables."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fastapi import Request

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import DefinitionRunRequest, RunRequest
from gyoza_tui.models.states import RunState
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.received import ReceivedPatch

SCOPE_KEY: Final = "gyoza.role"
"""Where a request's ASGI scope has the role of its key."""


class Role(StrEnum):
    """What a key is for."""

    WORK = "work"
    """A worker's key."""
    SUBMIT = "submit"
    """The key of a user, or of a program that creates runs."""
    ADMIN = "admin"
    """May do everything; the only key of a server that has one key."""


class Act(StrEnum):
    """What a request does, as its refusal names it."""

    READ = "read"
    DEFINE = "create or replace definitions"
    SUBMIT = "submit runs"
    SUBMIT_CHILDREN = "submit children of a run, with its lease"
    CANCEL = "cancel runs"
    RETRY = "retry runs"
    PRIORITIZE = "change priorities"
    HOLD = "hold runs back"
    FREEZE = "freeze or thaw runs"
    RELEASE = "have a worker give runs back"
    BEAT = "send heartbeats"
    CLAIM = "claim runs"
    REPORT = "report on runs or give them back"
    LEAVE = "deregister workers"
    DIRECT = "pause, drain or resume workers"


_BOTH: Final = {Act.READ, Act.SUBMIT_CHILDREN, Act.CANCEL, Act.RETRY, Act.FREEZE}
MAY: Final[dict[Role, frozenset[Act]]] = {
    Role.WORK: frozenset(_BOTH | {Act.BEAT, Act.CLAIM, Act.REPORT, Act.LEAVE}),
    Role.SUBMIT: frozenset(_BOTH | {Act.DEFINE, Act.SUBMIT, Act.PRIORITIZE, Act.HOLD, Act.RELEASE, Act.DIRECT}),
    Role.ADMIN: frozenset(Act),
}
ROUTES: Final[dict[tuple[str, str], tuple[Act, ...]]] = {
    ("GET", "/definitions"): (Act.READ,),
    ("GET", "/definitions/{name}"): (Act.READ,),
    ("GET", "/runs"): (Act.READ,),
    ("GET", "/runs/{run_id}"): (Act.READ,),
    ("GET", "/topics/{topic}/events"): (Act.READ,),
    ("GET", "/workers"): (Act.READ,),
    ("GET", "/workers/{worker_id}"): (Act.READ,),
    ("POST", "/ended"): (Act.READ,),
    ("POST", "/definitions"): (Act.DEFINE,),
    ("POST", "/definitions/{name}/runs"): (Act.SUBMIT, Act.SUBMIT_CHILDREN),
    ("POST", "/runs"): (Act.SUBMIT, Act.SUBMIT_CHILDREN),
    ("PATCH", "/runs/{run_id}"): (
        Act.CANCEL,
        Act.RETRY,
        Act.PRIORITIZE,
        Act.HOLD,
        Act.FREEZE,
        Act.RELEASE,
        Act.REPORT,
    ),
    ("POST", "/runs/{run_id}/events"): (Act.REPORT,),
    ("POST", "/workers/heartbeat"): (Act.BEAT,),
    ("POST", "/workers/{worker_id}/claim"): (Act.CLAIM,),
    ("PATCH", "/workers/{worker_id}"): (Act.DIRECT,),
    ("DELETE", "/workers/{worker_id}"): (Act.LEAVE,),
}
"""Every route that needs a key. Where a route can do more than one thing, its body decides which."""


def check_route(request: Request) -> None:
    """Refused (403) when the request's key may do nothing that its route does."""
    acts = ROUTES[request.method, request.scope["route"].path]
    role = role_of(request)
    if MAY[role].isdisjoint(acts):
        raise _refused(role, acts[0])


def check_create(request: Request, run: RunRequest | DefinitionRunRequest) -> None:
    """Refused (403) when the request's key may not create this run."""
    act = Act.SUBMIT if run.parent is None else Act.SUBMIT_CHILDREN
    role = role_of(request)
    if act not in MAY[role]:
        raise _refused(role, act)


def check_patch(request: Request, change: ReceivedPatch) -> None:
    """Refused (403) when the request's key may not do all that this change does."""
    role = role_of(request)
    for act in _acts_of(change):
        if act not in MAY[role]:
            raise _refused(role, act)


def role_of(request: Request) -> Role:
    """The role of the request's key."""
    role: Role = request.scope[SCOPE_KEY]
    return role


def words_of(request: Request) -> str:
    """Who sent it, where no name is given."""
    return f"a key of the role {role_of(request)}"


def _refused(role: Role, act: Act) -> Refused:
    able = " or ".join(other for other in Role if act in MAY[other])
    return Refused(403, ErrorCode.ROLE, f"a {role} key may not {act}: use a key of the role {able}")


def _acts_of(change: ReceivedPatch) -> list[Act]:
    patch = change.patch
    asked = {Act.PRIORITIZE: patch.priority, Act.HOLD: patch.held, Act.FREEZE: patch.frozen, Act.RELEASE: patch.release}
    acts = [act for act, value in asked.items() if value is not None]
    match patch.state:
        case None if change.outputs is None:
            pass
        case RunState.CANCELLED if patch.lease is None:
            acts.append(Act.CANCEL)
        case RunState.PENDING if not patch.names_attempt:
            acts.append(Act.RETRY)
        case _:
            acts.append(Act.REPORT)
    return acts
