"""Fixtures of Docker: the machine's engine, an engine of one's own that may be hurt, a registry to pull from."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import docker
import psutil
import pytest
import requests
from docker.errors import DockerException
from docker.utils import kwargs_from_env

from tests.images import build, build_busybox
from tests.waiting import until

LOGIN: Final = {"username": "tester", "password": "right"}
_LOGIN_HASH: Final = "$2b$04$Kd/049TQj3JeTXw5UOUjiex66yvQewn/mDuhGkqZFXUbX12RM2WZG"
"""bcrypt, the one kind that the registry takes and the standard library no longer makes."""


def unavailable(why: str) -> None:
    """A test that needs Docker may skip on a machine without it, but not in CI."""
    if os.environ.get("GYOZA_TEST_DOCKER") == "require":
        pytest.fail(f"{why}, and GYOZA_TEST_DOCKER=require is set")
    pytest.skip(why)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.APIClient]:
    """The machine's engine, with the test images in it."""
    try:
        client = docker.APIClient(**kwargs_from_env(), timeout=60)
        client.ping()
    except (DockerException, requests.RequestException) as error:
        unavailable(f"no Docker engine answers here: {error}")
        raise
    build(client)
    yield client
    client.close()


class PrivateEngine:
    """A second dockerd with sockets, storage and containers of its own. No test of it touches the machine's."""

    def __init__(self, root: Path, *, bridged: bool = False) -> None:
        self.root = root
        self.host = f"unix://{root}/d.sock"
        self._bridged = bridged
        self.live_restore = False
        """Whether containers go on without it; read at its start."""
        self._process: subprocess.Popen[bytes] | None = None

    def client(self) -> docker.APIClient:
        return docker.APIClient(base_url=self.host, timeout=30)

    def start(self) -> None:
        """Returns when it answers."""
        (self.root / "pid").unlink(missing_ok=True)
        self._forget_dead_containerd()
        folders = [f"--data-root={self.root}/data", f"--exec-root={self.root}/exec", f"--pidfile={self.root}/pid"]
        walls = ["--iptables=false", "--ip-masq=false", f"--config-file={self.root}/none.json"]
        if not self._bridged:
            walls.append("--bridge=none")
        if self.live_restore:
            walls.append("--live-restore")
        (self.root / "none.json").write_text("{}")
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                # --bridge=none makes an engine delete the bridge docker0: not the one of the machine's engine
                ["unshare", "--net", "dockerd", "-H", self.host, *folders, *walls],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._answers, f"the private engine answers; its log: {self.root / 'log'}", 30)

    def stop(self) -> None:
        """As a service manager does it: its containers end with it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Its containers go on for now."""
        self._end(signal.SIGKILL)

    def kill_containers(self) -> None:
        """What a killed engine left behind, as a power failure would."""
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        until(lambda: not self._processes(), "the private engine's processes are gone")

    def break_network(self) -> None:
        """It answers as before and starts no container on its bridge."""
        self._link("delete", "docker0")

    def repair_network(self) -> None:
        self._link("add", "docker0", "type", "bridge")
        self._link("set", "docker0", "up")

    def _link(self, *arguments: str) -> None:
        assert self._bridged, "without a bridge there is none to break"
        pid = (self.root / "pid").read_text()
        subprocess.run(["nsenter", "--target", pid, "--net", "ip", "link", *arguments], check=True)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def destroy(self) -> None:
        with contextlib.suppress(ProcessLookupError, AssertionError, subprocess.TimeoutExpired):
            self.thaw()
            self.stop()
        self.kill_containers()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(str(self.root))), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def _forget_dead_containerd(self) -> None:
        """A killed engine takes its containerd along, and would wait for the zombie of it to answer."""
        pid_file = self.root / "exec/containerd/containerd.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
            if psutil.Process(int(pid_file.read_text())).status() != psutil.STATUS_ZOMBIE:
                return
        pid_file.unlink(missing_ok=True)

    def _processes(self) -> list[psutil.Process]:
        """dockerd, its containerd and shims, all of which name the root in their arguments, and what shims run."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter(["cmdline", "status"]):
            if process.info["status"] != psutil.STATUS_ZOMBIE and any(
                str(self.root) in part for part in process.info["cmdline"] or []
            ):
                with contextlib.suppress(psutil.NoSuchProcess):  # ended meanwhile
                    found += [process, *process.children(recursive=True)] if process.pid != os.getpid() else []
        return found

    def _answers(self) -> bool:
        try:
            client = self.client()
            client.close()
        except DockerException:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "not started"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        self._signal(number)
        assert self._process is not None
        self._process.wait(40)


@pytest.fixture
def private_engine() -> Iterator[PrivateEngine]:
    """Started, with the small test image in it; destroyed with all its containers afterwards."""
    with _private_engine() as engine:
        yield engine


@pytest.fixture
def bridged_engine() -> Iterator[PrivateEngine]:
    """A private engine whose containers are on a bridge that a test may break."""
    with _private_engine(bridged=True) as engine:
        yield engine


@contextlib.contextmanager
def _private_engine(*, bridged: bool = False) -> Iterator[PrivateEngine]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        unavailable("an engine of one's own needs root and dockerd")
    root = Path(tempfile.mkdtemp(prefix="gz-", dir="/tmp"))  # short: a socket's path has at most 107 characters
    engine = PrivateEngine(root, bridged=bridged)
    try:
        engine.start()
        client = engine.client()
        build_busybox(client)
        client.close()
        yield engine
    finally:
        engine.destroy()


class Registry:
    """A `docker-registry` on loopback, which the engine may use without TLS."""

    def __init__(self, root: Path, *, login_needed: bool = False) -> None:
        self._root = root
        self._login_needed = login_needed
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def name(self, repository: str) -> str:
        return f"localhost:{self.port}/{repository}"

    def start(self) -> None:
        config = [
            "version: 0.1",
            f"storage: {{filesystem: {{rootdirectory: {self._root / 'store'}}}, delete: {{enabled: true}}}}",
            f"http: {{addr: '127.0.0.1:{self.port}'}}",
        ]
        if self._login_needed:
            (self._root / "htpasswd").write_text(f"{LOGIN['username']}:{_LOGIN_HASH}\n")
            config.append(f"auth: {{htpasswd: {{realm: test, path: {self._root / 'htpasswd'}}}}}")
        (self._root / "config.yml").write_text("\n".join(config) + "\n")
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(self._root / "config.yml")], stdout=log, stderr=log
            )
        until(lambda: _listens(self.port), f"the registry answers; its log: {self._root / 'log'}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def push(self, client: docker.APIClient, image: str, name: str, auth: dict[str, str] | None = None) -> None:
        """Put a local image there under `name`, and leave no local tag of that name."""
        client.tag(image, name)
        answer = client.push(name, auth_config=auth)
        assert "error" not in str(answer), answer
        client.remove_image(name)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Callable[..., Registry]]:
    """Makes and starts registries: `registry(login_needed=True)` lets in only `LOGIN`."""
    if shutil.which("docker-registry") is None:
        unavailable("the package docker-registry is not installed")
    made: list[Registry] = []

    def make(*, login_needed: bool = False) -> Registry:
        root = tmp_path / f"registry-{len(made)}"
        root.mkdir()
        made.append(Registry(root, login_needed=login_needed))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def hanging_registry() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    kept.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"localhost:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
