"""The one connection to the Docker engine: made at first use, made again by itself, its failures in words.

docker-py's pool serves every short call. Streams that may last for days (attach, logs, pull) have a socket each
(`stream.py`): the SDK hands a blocked reader no way to be woken, and reads frames one by one.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, NotFound
from docker.tls import TLSConfig

from gyoza_tui.backends.base import BackendBroken, BackendError, BackendUnavailable, DiskFull
from gyoza_tui.backends.docker import engine_process, place
from gyoza_tui.backends.docker.client import POOL_SIZE, Client
from gyoza_tui.backends.docker.ends import parse_time
from gyoza_tui.backends.docker.json_lines import json_lines
from gyoza_tui.backends.docker.place import EnginePlace
from gyoza_tui.backends.docker.refusals import Meaning, meaning
from gyoza_tui.backends.docker.stream import RawStream, connect_unix
from gyoza_tui.backends.docker.trouble import Troubles
from gyoza_tui.models.limits import MIB

CALL_TIMEOUT_S: Final = 60.0
QUICK_TIMEOUT_S: Final = 10.0
"""For calls that an engine in health answers in milliseconds."""
PROBE_TIMEOUT_S: Final = 2.2
"""Of each of the two waits of a ping (connect, answer), which together stay under 5 s."""
_EVENT_SLACK_S: Final = 0.2
"""How far events may be from the engine's record: it notes a signal after what that ended, a start after a short op."""


class Engine:
    """Thread-safe. Constructing it reads the environment and does nothing else."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._lock = threading.Lock()
        self._clients: dict[float, docker.APIClient] = {}
        self._version: str | None = None
        self._place: EnginePlace | None = None
        self.troubles = Troubles()

    @property
    def place(self) -> EnginePlace:
        """Where it is, once that is known for as long as this lives. Raises BackendUnavailable."""
        if self._place is None:
            self._place = place.find(self._environment)
        return self._place

    @property
    def socket_path(self) -> str | None:
        """Of an engine on this machine; None for one behind a network address, or where it cannot be found out."""
        try:
            address = self.place.address
        except BackendUnavailable:
            return None
        return urlsplit(address).path if address.startswith("unix://") else None

    @contextmanager
    def api(self, timeout_s: float = CALL_TIMEOUT_S, *, costly: bool = False) -> Iterator[docker.APIClient]:
        """The low-level client for one or more calls; whatever goes wrong leaves as a BackendError.

        A `costly` call may take longer than that at an engine in health.
        """
        try:
            yield self._client(timeout_s)
        except APIError as error:
            raise self.refusal(error) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, DockerException, OSError) as error:
            well = costly and isinstance(error, requests.ReadTimeout)
            raise self.unavailable(error, noted=not well) from error

    def refusal(self, error: APIError) -> BackendError:
        """An answer of the engine that says no."""
        return self.refused(str(error.explanation or error), error.status_code or 500)

    def refused(self, words: str, status: int) -> BackendError:
        known = meaning(words)
        if status == 503 or known is Meaning.ENGINE_AWAY:
            self.troubles.note()
            return BackendBroken(f"the Docker engine cannot work now: {words}")
        if known is Meaning.DISK_FULL:
            return DiskFull(f"the Docker engine's disk is full: {words}; free some space, `docker system df` shows it")
        return BackendError(f"the Docker engine refused: {words}")

    def unavailable(self, error: Exception, *, noted: bool = True) -> BackendUnavailable:
        """No answer. With `noted` the time is kept, as an op that ends about now may have ended for it."""
        if noted:
            self.troubles.note()
        text = str(error)
        if isinstance(error, PermissionError) or "Permission denied" in text:
            cause = "permission denied: add this user to the group docker, or run the worker as root"
        elif isinstance(error, TimeoutError | requests.Timeout) or "timed out" in text:
            cause = "it accepts connections but does not answer in time"
        elif isinstance(error, FileNotFoundError) or "No such file" in text:
            cause = "there is no such socket: is the engine installed and running?"
        elif isinstance(error, ConnectionRefusedError) or "refused" in text:
            cause = "connection refused: is the engine running?"
        else:
            cause = text or type(error).__name__
        return BackendUnavailable(f"Docker does not answer at {self.place}: {cause}")

    def ping(self) -> None:
        """Ask for a sign of life over a connection of its own: an engine that is going down closes its door first,
        and goes on answering those who are inside. Raises BackendUnavailable; takes under 5 s."""
        answer = self.stream("GET", "/_ping", timeout_s=PROBE_TIMEOUT_S, versioned=False)
        with answer:
            try:
                status = answer.status
                words = answer.read_all(1024)
            except OSError as error:
                raise self.unavailable(error) from error
        if status != 200:
            self.troubles.note()
            raise BackendUnavailable(f"Docker at {self.place} answers {status}: {words.decode(errors='replace')}")

    def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        versioned: bool = True,
    ) -> RawStream:
        """Send a request over a socket of its own. The answer has not been waited for yet: `RawStream.status` does.

        `timeout_s` is of each wait; None waits for ever, until `RawStream.close`.
        """
        target = (f"/v{self._api_version()}" if versioned else "") + path
        if query:
            target += "?" + urlencode(query)
        try:
            connection = self._connect()
            connection.settimeout(timeout_s)
            return RawStream(connection, method, target, headers or {})
        except (OSError, DockerException) as error:
            raise self.unavailable(error) from error

    def disks(self) -> tuple[Path, ...]:
        """Where an engine of this machine keeps images and containers."""
        if self.socket_path is None:
            return ()
        with self.api(PROBE_TIMEOUT_S) as api:
            root = Path(api.info().get("DockerRootDir") or "/")
        return (root,) if root.is_dir() else ()

    def gpu_trouble(self) -> str | None:
        """Why its containers get no NVIDIA GPU, by what it says of itself; None when they do."""
        with self.api(PROBE_TIMEOUT_S) as api:
            info = api.info()
        if "nvidia" in (info.get("Runtimes") or {}) or info.get("DiscoveredDevices"):
            return None
        if self.socket_path is not None and shutil.which("nvidia-container-runtime-hook"):
            return None
        return "Docker has no NVIDIA runtime: containers get no GPU"

    def identity(self) -> tuple[str, str, str]:
        """Its id, the name of its host and its data directory."""
        with self.api(QUICK_TIMEOUT_S) as api:
            info = api.info()
        return str(info.get("ID") or ""), str(info.get("Name") or "unknown"), str(info.get("DockerRootDir") or "")

    def live_restore(self) -> bool:
        """Whether its containers outlive it."""
        with self.api(PROBE_TIMEOUT_S) as api:
            return bool(api.info().get("LiveRestoreEnabled"))

    def began_at(self) -> float | None:
        """UTC seconds at which the engine began; None where that cannot be known. Raises BackendUnavailable.

        By the engine's own clock where it has its default bridge, which it makes at each start; else by the process
        that listens at its socket, if that is the engine and not who listens for it, as systemd.
        """
        with self.api(QUICK_TIMEOUT_S) as api:
            try:
                return parse_time(api.inspect_network("bridge").get("Created"))
            except NotFound:
                pid = self.pid()
                return None if pid is None else engine_process.began_at(pid)

    def signalled(self, container: str, since: float, until: float) -> bool:
        """Whether a signal was sent to the container in that time, as far as the engine still knows."""
        since, until = min(since, until - _EVENT_SLACK_S), until + _EVENT_SLACK_S
        filters = json.dumps({"type": ["container"], "container": [container], "event": ["kill"]})
        query = {"filters": filters, "since": f"{since:.9f}", "until": f"{until:.9f}"}
        with self.stream("GET", "/events", query, timeout_s=QUICK_TIMEOUT_S) as events:
            if events.status != 200:
                raise self.refused(events.read_all(4096).decode(errors="replace"), events.status)
            try:
                return any(True for _ in json_lines(events))
            except OSError as error:
                raise self.unavailable(error) from error

    def pid(self) -> int | None:
        """Of its process, where that is one of this machine and can be known."""
        return None if self.socket_path is None else engine_process.pid_at(self.socket_path)

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, timeout_s: float) -> docker.APIClient:
        version = self._api_version()
        with self._lock:
            client = self._clients.get(timeout_s)
            if client is None:
                try:
                    client = Client(
                        **self.place.settings, version=version, timeout=int(timeout_s), max_pool_size=POOL_SIZE
                    )
                except (ValueError, TypeError, AttributeError) as error:  # of the proxies, which it reads at once
                    raise BackendUnavailable(f"this user's Docker config.json is damaged: {error!r}") from error
                if (path := self.socket_path) is not None:
                    client.pool_connections(path)
                self._clients[timeout_s] = client
            return client

    def _api_version(self) -> str:
        """Asked for once, with short patience: docker-py's own question would wait a minute for a hung engine."""
        if self._version is None:
            with self.stream("GET", "/version", timeout_s=PROBE_TIMEOUT_S, versioned=False) as answer:
                try:
                    self._version = str(json.loads(answer.read_all(MIB))["ApiVersion"])
                except OSError as error:
                    raise self.unavailable(error) from error
                except (ValueError, KeyError, TypeError) as error:
                    raise BackendUnavailable(f"what answers at {self.place} is not a Docker engine") from error
        return self._version

    def _connect(self) -> socket.socket:
        tls = self.place.tls
        address = urlsplit(self.place.url)
        if address.scheme == "http+unix":
            return connect_unix(address.path, PROBE_TIMEOUT_S)
        connection = socket.create_connection((address.hostname or "", address.port or 2375), PROBE_TIMEOUT_S)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if tls is not None:
            return _tls_context(tls).wrap_socket(connection, server_hostname=address.hostname)
        return connection


def _tls_context(tls: TLSConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_cert)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    return context
