"""A client of the server that the settings mean, with its key."""

from __future__ import annotations

from gyoza_tui import own_server
from gyoza_tui.client import GyozaClient
from gyoza_tui.own_server import OwnServer
from gyoza_tui.settings import Settings
from gyoza_tui.worker.state_dir import worker_dir


def client_of(settings: Settings, timeout_s: float = 30.0) -> GyozaClient:
    """A client of the server that is named, or else of this worker's own; without a key it looks for one of ours.

    It looks before each request: a server that has ended may have another process's server at its port.
    """
    own = _server_of_worker(settings)
    url, key = (settings.server_url, settings.key()) if own is None else (own.url, None)
    if key is not None:
        return GyozaClient(url, key, timeout_s)
    root = worker_dir(settings.state_dir, settings.worker_id)
    return GyozaClient(url, None, timeout_s, own_server=lambda: own_server.own_server_at(url, settings.state_dir, root))


def own_server_of(settings: Settings) -> OwnServer | None:
    """The server of this user, if it is the one that a client of these settings speaks to with the server's key."""
    if own := _server_of_worker(settings):
        return own
    if settings.key() is not None:
        return None
    root = worker_dir(settings.state_dir, settings.worker_id)
    return own_server.own_server_at(settings.server_url, settings.state_dir, root)


def _server_of_worker(settings: Settings) -> OwnServer | None:
    """The one of `--local`, for who names none."""
    if "server_url" in settings.model_fields_set:
        return None
    files = own_server.files_of_worker(worker_dir(settings.state_dir, settings.worker_id))
    return own_server.own_server(files.announcement(0))
