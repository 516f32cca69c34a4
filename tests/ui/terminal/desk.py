"""A worker with its screen on a pty, at a server in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.worker_dirs import worker_dir
from tests.blackbox.house import LATE_S, HeartbeatWatch, House
from tests.commands import COMMAND
from tests.servers import KEY
from tests.ui.terminal.pty_session import ENTER_SCREEN, LEAVE_SCREEN, PtySession
from tests.waiting import until

NAME: Final = "lab-gpu-01"
ENGINE: Final = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
"""For a desk with containers; without it a desk has none."""
_FLOOD: Final = """
import json, os, sys, time
given = json.load(open(os.environ["GYOZA_INPUT_JSON"]))
end, lines = time.monotonic() + given["seconds"], 0
while time.monotonic() < end and not os.path.exists(given["enough"]):
    sys.stdout.write("".join(f"step {n} of a flood of lines, loss=0.1234\\n" for n in range(lines, lines + 200)))
    sys.stdout.flush()
    lines += 200
    time.sleep(0.01)
"""
CRASH: Final = "password = 'hunter2-canary'; raise RuntimeError('no such widget')"
"""For a broken screen."""
_BROKEN: Final = """
import sys
from gyoza_tui.ui.app import GyozaApp
def action_help(self):
    {body}
GyozaApp.action_help = action_help
from gyoza_tui.__main__ import main
main()
"""


class Desk:
    """One worker of a house; the run's image is a command of this machine."""

    def __init__(self, house: House, root: Path, name: str = NAME) -> None:
        self.house = house
        self.root = root
        self.name = name
        self._flood = house.op("flood", sys.executable, "-I", "-S", "-c", _FLOOD)
        self._enough = root / "enough"
        self.log = worker_dir(root / "state", name) / "worker.log"

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "DOCKER_HOST": "unix:///nowhere/docker.sock",
            "GYOZA_CONFIG": str(self.root / "no-config.toml"),
            "GYOZA_SERVER_URL": self.house.url,
            "GYOZA_API_KEY": KEY,
            "GYOZA_WORKER_ID": self.name,
            "GYOZA_STATE_DIR": str(self.root / "state"),
            "GYOZA_OPS_FILE": str(self.house.ops_file),
            "GYOZA_MIN_FREE_MB": "0",
            "GYOZA_STOP_GRACE_S": "1",
        } | more

    @contextmanager
    def started(self, *argv: str, size: tuple[int, int] = (120, 40), **env: str) -> Iterator[PtySession]:
        """A command line on a pty."""
        (self.root / "no-config.toml").touch()
        with PtySession(argv, env=self.environment(**env), cwd=self.root, size=size) as session:
            yield session

    @contextmanager
    def screen(self, *flags: str, size: tuple[int, int] = (120, 40), **env: str) -> Iterator[PtySession]:
        """`gyoza-tui`, once its screen is up and its server knows it."""
        with self.started(COMMAND, *flags, size=size, **env) as session:
            until(lambda: session.on_screen and self.name in session.text, "the screen")
            self.until_known()
            yield session

    @contextmanager
    def broken_screen(self, body: str, size: tuple[int, int] = (120, 40), **env: str) -> Iterator[PtySession]:
        """The same, and `?` does what `body` says."""
        with self.started(sys.executable, "-c", _BROKEN.format(body=body), size=size, **env) as session:
            until(lambda: session.on_screen and self.name in session.text, "the screen")
            self.until_known()
            yield session

    def until_known(self) -> None:
        def known() -> bool:
            with suppress(httpx.HTTPStatusError):
                return "local" in self.house.client.get_worker(self.name).backends
            return False

        until(known, "the server knows the worker")

    def flood(self, seconds: float) -> OpRun:
        """A run that prints 20,000 lines a second for so long, once it runs."""
        run = self.house.client.create_run(self._flood, {"seconds": seconds, "enough": str(self._enough)})
        return self.house.until_state(run, RunState.RUNNING)

    def end_floods(self) -> None:
        """Before their time."""
        self._enough.touch()

    @contextmanager
    def heartbeats(self) -> Iterator[None]:
        """No gap between two of them, by the server's data."""
        with HeartbeatWatch(self.house.url, self.name) as watch:
            yield
        assert watch.late_s <= LATE_S

    def ends_well(self, session: PtySession, within_s: float = 20, *, broken: bool = False) -> None:
        """A SIGTERM: the worker drains, exits with 0, and a terminal that is there is as it was.

        `broken`: its screen was, on purpose.
        """
        session.signal(signal.SIGTERM)
        assert session.wait(within_s) == 0
        if not session.closed:
            session.read_again()
            until(lambda: not session.on_screen, "the terminal without a screen")
            assert session.modes == session.modes_before
        if not broken:
            assert "broke" not in self.log.read_text()
            assert "Traceback" not in self.log.read_text()


def times_on_screen(session: PtySession) -> int:
    assert session.raw.count(ENTER_SCREEN) - session.raw.count(LEAVE_SCREEN) in (0, 1)
    return session.raw.count(ENTER_SCREEN)
