"""Starting the server: its options, its socket, its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import uvicorn
from fastapi import FastAPI

from gyoza_tui.key_files import chosen_key
from gyoza_tui.models import durations
from gyoza_tui.models.faults import SettingsError
from gyoza_tui.models.listen_address import ListenAddress
from gyoza_tui.models.loopback import is_loopback
from gyoza_tui.own_server import Announcement, OwnFiles, files_of_serve, made_key
from gyoza_tui.server.app import create_app
from gyoza_tui.server.connections import Connection, Crowd, raise_descriptor_limit
from gyoza_tui.server.database import Database
from gyoza_tui.server.errors import ServerError
from gyoza_tui.server.keys import Keys
from gyoza_tui.server.roles import Role
from gyoza_tui.server.shared_state import DAY_S, SharedState, Timings
from gyoza_tui.server.uvicorn_internals import OrderlyServer, owns_process
from gyoza_tui.service_manager import ServiceManager

if TYPE_CHECKING:
    from gyoza_tui.metrics_endpoint import MetricsEndpoint

_LOG = logging.getLogger(__name__)
_LEVELS = ("critical", "error", "warning", "info", "debug", "trace")
_BACKLOG = 2048
_ACCEPTED_AT_ONCE = 16
"""Connections that asyncio accepts before ours sees the first of them."""
_GC_THRESHOLDS = (50_000, 20, 100)
"""JSON has no cycles: reading megabytes of it must not look for them among all objects again and again."""
_KEEP_ALIVE_S = 75
"""Longer than clients keep an idle connection, so that it is they who close it."""
_SHUTDOWN_S = 1
_LAST_RESORT_S = 5.0


def default_database() -> str:
    """A file in this user's state directory."""
    return str(_state_dir() / "server.db")


def _state_dir() -> Path:
    """Absolute: a client reads the path of the key in the announcement, and has another current directory."""
    try:
        named = os.environ.get("GYOZA_STATE_DIR") or platformdirs.user_state_path("gyoza-tui")
        return Path(named).expanduser().absolute()
    except RuntimeError:
        raise ServerError("GYOZA_STATE_DIR: there is no such home directory") from None


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """All that a server is started with."""

    host: str = "127.0.0.1"
    port: int = 5555
    """0: any free one; `ready` is told which."""
    database: str = field(default_factory=default_database)
    api_key: str | None = field(default=None, repr=False)
    """Of the role admin."""
    work_key: str | None = field(default=None, repr=False)
    submit_key: str | None = field(default=None, repr=False)
    own_files: OwnFiles | None = None
    """Where a key is made and announced if `api_key` is None. None as well: requests of web pages are refused."""
    log_level: str = "warning"
    timings: Timings = field(default_factory=Timings)
    ready: Callable[[str], None] | None = None
    """Called once with the server's URL when it answers."""
    metrics_port: str | None = None
    """`[ADDRESS:]PORT` of its metrics, as Prometheus reads them."""
    metrics_ready: Callable[[str], None] | None = None
    """Called with their URL once they can be read."""
    parent_pipe: int | None = None
    """A file descriptor: when it reads end-of-file the server ends, so that it never outlives its parent.

    Without one the server is what its process is for, and the service manager is told how it does.
    """


def serve(options: ServerOptions) -> None:
    """Serve until SIGTERM, SIGINT or the parent's end. ServerError, with words, when it cannot start."""
    _check(options)
    logging.basicConfig(level=logging.DEBUG if options.log_level == "trace" else options.log_level.upper())
    with contextlib.ExitStack() as at_end:
        listening = at_end.enter_context(_bound(options))
        options, announcement = _with_key(options, _url(listening))
        if announcement is not None:
            at_end.callback(announcement.withdraw)
        keys = Keys({Role.ADMIN: options.api_key, Role.WORK: options.work_key, Role.SUBMIT: options.submit_key})
        if owns_process():
            gc.set_threshold(*_GC_THRESHOLDS)
        descriptors = raise_descriptor_limit()
        database = Database.open(options.database)
        own_key = options.own_files.key if options.own_files else None
        app = create_app(database, keys=keys, own_key=own_key, timings=options.timings)
        server = _Server(app, options, listening, announcement, descriptors)
        if options.parent_pipe is not None:
            _end_with_parent(server, options.parent_pipe)
        at_end.callback(server.shared.close)
        if options.metrics_port is not None:
            metrics = at_end.enter_context(contextlib.closing(_metrics(options.metrics_port, server.shared)))
            metrics.start()
            if options.metrics_ready is not None:
                options.metrics_ready(metrics.url)
        asyncio.run(server.serve(sockets=[listening]))
    if server.last_resort is not None:
        server.last_resort.cancel()


class _Server(OrderlyServer):
    """Answers every long poll before it waits for its connections."""

    def __init__(
        self,
        app: FastAPI,
        options: ServerOptions,
        listening: socket.socket,
        announcement: Announcement | None,
        descriptors: int,
    ) -> None:
        self._crowd = Crowd(descriptors)
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                log_config=None,
                log_level=options.log_level,
                access_log=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_SHUTDOWN_S,
                backlog=_ACCEPTED_AT_ONCE,
                server_header=False,
                ws="none",
            ),
            self._crowd,
        )
        self.shared: SharedState = app.state.shared
        self._options = options
        self._announcement = announcement
        self._manager = ServiceManager(self._line, app.state.timers.go_on)
        self._url = _url(listening)
        self.last_resort: threading.Timer | None = None
        """Ends the process once its parent is gone, should an orderly end take too long."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._crowd.on_loop_fault)
        await super().startup(sockets)
        for listening in sockets or []:
            listening.listen(_BACKLOG)
        if self._options.ready is not None:
            self._options.ready(self._url)
        if self._options.parent_pipe is None:
            self._manager.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Withdraw first: once the port is free another process may listen there."""
        self._manager.stopping()
        if self._announcement is not None:
            self._announcement.withdraw()
        self.shared.stop_waiting()
        await super().shutdown(sockets)

    def _line(self) -> str:
        now = self.shared.server_time.boot()
        live = sum(self.shared.roster.live(known, now) for known in self.shared.roster.all())
        return f"{self._url}, {live} worker{'' if live == 1 else 's'}"


def _check(options: ServerOptions) -> None:
    if not 0 <= options.port <= 65535:
        raise ServerError(f"{options.port} is not a port: 0 to 65535")
    if options.log_level not in _LEVELS:
        raise ServerError(f"{options.log_level[:40]!a} is not a log level: {', '.join(_LEVELS)}")


def _with_key(options: ServerOptions, url: str) -> tuple[ServerOptions, Announcement | None]:
    """With the key that it makes, announced; where a key is given or none is wanted, without files of its own."""
    if options.api_key or options.own_files is None:
        return replace(options, api_key=options.api_key or None, own_files=None), None
    try:
        with_key = replace(options, api_key=made_key(options.own_files.key))
        return with_key, Announcement(options.own_files, url)
    except SettingsError as error:
        raise ServerError(str(error)) from None


def _bound(options: ServerOptions) -> socket.socket:
    host, port = options.host, options.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ServerError(f"{host[:80]!a} is not an address of this machine") from None
    if not options.api_key and not is_loopback(str(address[0])):
        raise ServerError(
            f"without an API key the server listens on this machine only, not on {host[:80]!a}: "
            "set GYOZA_API_KEY or --api-key-file"
        )
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ServerError(
            f"{host}:{port} cannot be listened on ({error.strerror}): another server may have it; choose --port"
        ) from None
    return listening


def _metrics(port: str, shared: SharedState) -> MetricsEndpoint:
    from gyoza_tui.metrics_endpoint import MetricsEndpoint
    from gyoza_tui.server.metrics import ServerCollector

    try:
        return MetricsEndpoint(ListenAddress.parse(port), ServerCollector(shared))
    except ValueError as error:
        raise ServerError(f"GYOZA_METRICS_PORT: {error}") from None
    except OSError as error:
        raise ServerError(f"--metrics-port {port} cannot be listened on: {error.strerror or error}") from None


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _end_with_parent(server: _Server, pipe: int) -> None:
    own_process = owns_process()

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(pipe, 4096):
                pass
        if own_process:
            server.last_resort = threading.Timer(_LAST_RESORT_S, os._exit, args=(1,))
            server.last_resort.daemon = True
            server.last_resort.start()
        server.should_exit = True

    threading.Thread(target=watch, name="gyoza-parent", daemon=True).start()


def options_from_environment(
    host: str | None = None, port: int | None = None, log_level: str | None = None
) -> ServerOptions:
    """Explicit > environment > defaults. ServerError for a value that cannot be used."""
    environment = {name: value for name, value in os.environ.items() if value}
    text = environment.get("GYOZA_SERVER_PORT", "5555")
    if port is None and not (text.isascii() and text.isdigit()):
        raise ServerError(f"GYOZA_SERVER_PORT is {text[:40]!a}: write a number from 0 to 65535")
    return ServerOptions(
        host=host or environment.get("GYOZA_SERVER_HOST", "127.0.0.1"),
        port=int(text) if port is None else port,
        database=environment.get("GYOZA_DATABASE") or default_database(),
        api_key=_key("GYOZA_API_KEY_FILE", environment, environment.get("GYOZA_API_KEY")),
        work_key=_key("GYOZA_WORK_KEY_FILE", environment),
        submit_key=_key("GYOZA_SUBMIT_KEY_FILE", environment),
        timings=Timings(
            secret_env_s=_number("GYOZA_SECRET_ENV_DAYS", environment, 7, 3650) * DAY_S,
            passed_over_s=_number("GYOZA_PASSED_OVER_S", environment, 60, 86400, durations.seconds),
        ),
        metrics_port=environment.get("GYOZA_METRICS_PORT"),
        log_level=(log_level or environment.get("GYOZA_SERVER_LOG_LEVEL", "warning")).lower(),
    )


def _number(
    variable: str, environment: dict[str, str], default: float, most: float, read: Callable[[str], float] = float
) -> float:
    text = environment.get(variable, str(default))
    with contextlib.suppress(ValueError):
        if 0 <= (number := read(text)) <= most:
            return number
    raise ServerError(f"{variable} is {text[:40]!a}: write a number from 0 to {most:g}")


def _key(file_variable: str, environment: dict[str, str], key: str | None = None) -> str | None:
    named = environment.get(file_variable)
    try:
        return chosen_key(Path(named).expanduser() if named else None, key)
    except (SettingsError, RuntimeError) as error:
        raise ServerError(f"{file_variable}: {error}") from None


def start(
    host: str | None = None,
    port: int | None = None,
    reload: bool | None = None,
    workers: int | None = None,
    log_level: str | None = None,
) -> None:
    """Serve until stopped. One process holds the database: `reload` and more than one of `workers` are refused."""
    if reload or (workers is not None and workers != 1):
        raise ServerError("this server is one process without reload: leave out reload and workers")
    options = replace(options_from_environment(host, port, log_level), own_files=files_of_serve(_state_dir()))
    serve(options)
