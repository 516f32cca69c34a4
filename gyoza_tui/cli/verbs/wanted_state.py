"""What `pause`, `resume` and `drain` do through the server: the state that is wanted of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gyoza_tui.cli import asker
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.failures import CliError, usage
from gyoza_tui.models.identity import check_id
from gyoza_tui.models.text import visible
from gyoza_tui.models.workers import WantedWorkerState, WorkerState

if TYPE_CHECKING:
    from gyoza_tui.client import GyozaClient

_ASKED: Final = {
    WorkerState.CLAIMING: "asked {} to claim runs again",
    WorkerState.PAUSED: "asked {} to pause: it claims nothing new, and its runs go on",
    WorkerState.DRAINING: "asked {} to drain: it claims nothing new and exits when its runs have ended",
}


def pause_at_server(flags: Connection, worker: str, *, as_json: bool) -> None:
    _want(flags, worker, WorkerState.PAUSED, as_json=as_json)


def resume_at_server(flags: Connection, worker: str, *, as_json: bool) -> None:
    _want(flags, worker, WorkerState.CLAIMING, as_json=as_json)


def drain_at_server(flags: Connection, worker: str, *, as_json: bool) -> None:
    _want(flags, worker, WorkerState.DRAINING, as_json=as_json)


def undo_drain_at_server(flags: Connection, worker: str, *, as_json: bool) -> None:
    """CliError where no drain is wanted: what was asked for since is not undone."""
    _want(flags, worker, WorkerState.CLAIMING, as_json=as_json, undoes=WorkerState.DRAINING)


def _want(
    flags: Connection,
    worker: str,
    state: WantedWorkerState,
    *,
    as_json: bool,
    undoes: WantedWorkerState | None = None,
) -> None:
    from gyoza_tui.cli import connection, terminal

    try:
        check_id(worker)
    except ValueError as error:
        raise usage(f"--worker: {error}") from None
    with connection.connected(flags) as at:
        if undoes is not None:
            _check_wanted(at.client, worker, undoes)
        wanted = at.client.want_state(worker, state, asker.user())
    if as_json:
        terminal.out_json(wanted.model_dump(mode="json"))
    else:
        terminal.out(_ASKED[state].format(visible(worker)))
        terminal.hint(f"workers {visible(worker)}")


def _check_wanted(client: GyozaClient, worker: str, state: WantedWorkerState) -> None:
    found = [each.wanted for each in client.list_workers() if each.worker_id == worker]
    if not found:
        raise CliError(f"there is no worker {visible(worker)} now: `resume` has one that was drained claim again")
    if found[0] is None or found[0].state is not state:
        raise CliError(f"{visible(worker)} is not {state} by the server's wish: there is nothing to undo")
