"""What the shell offers behind a verb: the runs, workers and definitions that there are. Silent on every error."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import fields
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer

from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.cli.connection import Connected
    from gyoza_tui.cli.connection_flags import Connection
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.states import RunState

OFFERED_MAX: Final = 200
TIME_S: Final = 1.0
"""Nobody waits longer for a key."""
_HEAVY: Final = ("gyoza_tui.client", "gyoza_tui.settings")
"""Loaded before the time runs: on a busy machine they alone may take as long."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9._@-]+(?:=[A-Za-z0-9]*)?")
"""What a shell takes as it stands; nothing else is offered."""


class Offer(NamedTuple):
    value: str
    words: str
    """Shown beside it, where the shell shows that."""


def complete_run(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """The ids of runs, newest first."""
    return offered(ctx, incomplete, lambda client: _runs(client, incomplete, lambda _state: True))


def complete_open_run(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Of those that have not ended."""
    return offered(ctx, incomplete, lambda client: _runs(client, incomplete, lambda state: not state.terminal))


def complete_retryable_run(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Of those that have ended without a result."""
    from gyoza_tui.models.states import Cause, RunState, allowed

    def retryable(state: RunState) -> bool:
        return allowed(state, RunState.PENDING, Cause.RETRY)

    return offered(ctx, incomplete, lambda client: _runs(client, incomplete, retryable))


def complete_state(incomplete: str) -> list[str]:
    """What a run on a server can be."""
    from gyoza_tui.models.states import RunState

    return [state.lower() for state in RunState if state.lower().startswith(incomplete.lower())]


def complete_worker(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """The names of the workers that the server knows."""
    return offered(
        ctx, incomplete, lambda client: [Offer(found.worker_id, found.state) for found in client.list_workers()]
    )


def complete_worker_here(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """The names of the workers that run on this machine."""
    from gyoza_tui.cli import local_workers
    from gyoza_tui.settings import load

    try:
        names = local_workers.running(load(**_typed(ctx).as_settings()).state_dir)
    except Exception:
        return []  # a half-typed line in a shell is no place for messages
    return [Offer(name, "runs here") for name in names if name.startswith(incomplete)]


def complete_definition(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Names of definitions; behind an `@` their versions."""

    def ask(client: GyozaClient) -> list[Offer]:
        found = client.list_definitions()
        if "@" in incomplete:
            return [Offer(f"{each.id}@{each.version}", each.image) for each in found]
        return [Offer(name, image) for name, image in {each.id: each.image for each in found}.items()]

    return offered(ctx, incomplete, ask)


def complete_target(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Definitions with their versions: what a run can be made of that the server knows."""

    def ask(client: GyozaClient) -> list[Offer]:
        return [Offer(f"{each.id}@{each.version}", each.image) for each in client.list_definitions()]

    return offered(ctx, incomplete, ask)


def _runs(client: GyozaClient, beginning: str, wanted: Callable[[RunState], bool]) -> Iterable[Offer]:
    from gyoza_tui.cli import connection
    from gyoza_tui.models import filters
    from gyoza_tui.models.filters import Key

    for run in connection.all_runs(client, filters.term(Key.RUN, beginning) if beginning else None):
        if run.id.startswith(beginning) and wanted(run.state):
            yield Offer(run.id, f"{run.state.value} {run.op_name}")


def offered(ctx: typer.Context, incomplete: str, ask: Callable[[GyozaClient], Iterable[Offer]]) -> list[Offer]:
    """What `ask` finds within TIME_S; nothing when the server does not answer so soon, or anything else is wrong."""
    for module in _HEAVY:
        import_module(module)
    found: list[Offer] = []

    def look() -> None:
        try:
            with _connected(ctx) as at:
                fitting = (each for each in ask(at.client) if _fits(each, incomplete))
                for offer in islice(fitting, OFFERED_MAX):
                    found.append(Offer(offer.value, visible(offer.words)))
        except Exception:
            return  # a half-typed line in a shell is no place for messages

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(TIME_S)
    return list(found)


def _connected(ctx: typer.Context) -> AbstractContextManager[Connected]:
    from gyoza_tui.cli import connection
    from gyoza_tui.settings import load

    return connection.connected_by(load(**_typed(ctx).as_settings()), timeout_s=TIME_S)


def _typed(ctx: typer.Context) -> Connection:
    """The flags so far, before the verb and behind it."""
    return _flags(ctx.params).over(_flags(ctx.parent.params) if ctx.parent else None)


def _flags(typed: dict[str, Any]) -> Connection:
    from gyoza_tui.cli.connection_flags import Connection

    return Connection(**{each.name: typed.get(each.name) for each in fields(Connection)})


def _fits(offer: Offer, incomplete: str) -> bool:
    return offer.value.startswith(incomplete) and _PLAIN.fullmatch(offer.value) is not None
