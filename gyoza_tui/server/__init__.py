"""The embedded gyoza server. Importing it loads no web framework; `start` does."""

from __future__ import annotations


def start(
    host: str | None = None,
    port: int | None = None,
    reload: bool | None = None,
    workers: int | None = None,
    log_level: str | None = None,
) -> None:
    """Serve until stopped: explicit arguments, then the environment (`GYOZA_SERVER_HOST` …), then 127.0.0.1:5555.

    `gyoza_tui.server.errors.ServerError`, with words, when it cannot start.
    """
    from gyoza_tui.server import launch

    launch.start(host, port, reload, workers, log_level)
