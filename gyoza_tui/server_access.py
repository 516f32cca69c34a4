"""A client of the server that the settings mean, with its key."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from gyoza_tui import own_server
from gyoza_tui.client import GyozaClient
from gyoza_tui.own_server import OwnServer
from gyoza_tui.settings import Settings
from gyoza_tui.worker_dirs import worker_dir


class Meant(NamedTuple):
    """The server that some settings mean."""

    url: str
    own: OwnServer | None
    """Its announcement, where its key comes from that."""
    by_worker: bool
    """Whether it is the server of `--local`, which the settings do not name."""


def client_of(settings: Settings, timeout_s: float = 30.0) -> GyozaClient:
    """A client of the server that is named, or else of this worker's own; without a key it looks for one of ours.

    It looks before each request: a server that has ended may have another process's server at its port.
    """
    own = _server_of_worker(settings)
    url, key = (settings.server_url, settings.key()) if own is None else (own.url, None)
    look = partial(_server_at, settings, url) if key is None else None
    return GyozaClient(url, key, timeout_s, own_server=look, ca_file=settings.ca_file)


def server_of(settings: Settings) -> Meant:
    """The server that a client of these settings speaks to, as things are now."""
    if own := _server_of_worker(settings):
        return Meant(own.url, own, by_worker=True)
    own = None if settings.key() else _server_at(settings, settings.server_url)
    return Meant(settings.server_url, own, by_worker=False)


def _server_at(settings: Settings, url: str) -> OwnServer | None:
    root = worker_dir(settings.state_dir, settings.worker_id)
    return own_server.own_server_at(url, settings.state_dir, root)


def _server_of_worker(settings: Settings) -> OwnServer | None:
    """The one of `--local`, for who names none."""
    if "server_url" in settings.model_fields_set:
        return None
    files = own_server.files_of_worker(worker_dir(settings.state_dir, settings.worker_id))
    return own_server.own_server(files.announcement(0))
