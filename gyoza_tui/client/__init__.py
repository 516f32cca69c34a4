"""The HTTP client of a gyoza server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gyoza_tui.client.gyoza_client import GyozaClient

if TYPE_CHECKING:
    gyoza_client: GyozaClient

__all__ = ["GyozaClient", "gyoza_client"]


def __getattr__(name: str) -> Any:
    """`gyoza_client` is made from the settings at first use: importing reads nothing and connects to nothing."""
    if name != "gyoza_client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gyoza_tui.settings import Settings

    settings = Settings()
    client = GyozaClient(settings.server_url, settings.key())
    globals()[name] = client
    return client
