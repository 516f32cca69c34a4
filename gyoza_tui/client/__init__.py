"""The HTTP client of a gyoza server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from gyoza_tui.client._client import Claimed, GyozaClient, Page
from gyoza_tui.client.ends import Waited

if TYPE_CHECKING:
    gyoza_client: GyozaClient

__all__ = ["Claimed", "GyozaClient", "Page", "Waited", "gyoza_client"]

_lock = threading.Lock()


def __getattr__(name: str) -> Any:
    """`gyoza_client` is made from the settings at first use: importing reads nothing and connects to nothing.

    No module here may have its name: an import of that module would put it in the client's place.
    """
    if name != "gyoza_client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _lock:
        if name not in globals():
            globals()[name] = _make()
        return globals()[name]


def _make() -> GyozaClient:
    from gyoza_tui.server_access import client_of
    from gyoza_tui.settings import load

    return client_of(load())
