"""A screen on a worker of another process, on a real terminal: however it ends, the terminal is as it was."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from gyoza_tui.worker.control_socket.server import ControlSocket
from gyoza_tui.worker.view.snapshot import Snapshot
from tests.ui.fake_control import FakeControl, snapshot
from tests.ui.keys.app import running
from tests.ui.terminal.pty_session import LEAVE_SCREEN, PtySession
from tests.waiting import until
from tests.worker.control_socket.served import serving

_COCKPIT = """
import sys
from pathlib import Path
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.ui.attached import run_attached
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.worker.control_socket.client import RemoteControl
control = RemoteControl(Path(sys.argv[1]), SystemClock())
error = run_attached(control, UiOptions(attached=True))
control.close()
sys.exit(error is not None)
"""


OTHERS = (signal.SIGHUP, signal.SIGINT)


class Ticking(FakeControl):
    """A worker that is well always has something new."""

    def snapshot(self) -> Snapshot:
        self.now = self.now._replace(taken_at=self.now.taken_at + 0.1)
        return self.now


@pytest.fixture
def fake() -> FakeControl:
    return Ticking(snapshot(runs=(running(1, "a1b2c3d4"),)))


@pytest.fixture
def worker(fake: FakeControl, tmp_path: Path) -> Iterator[ControlSocket]:
    with serving(fake, tmp_path) as server:
        yield server


def environment(root: Path) -> dict[str, str]:
    shown = {"HOME": str(root), "LANG": "C.UTF-8", "TERM": "xterm-256color", "COCKPIT": _COCKPIT}
    return {"PATH": os.environ["PATH"], **shown}


def test_what_others_print_comes_when_the_screen_is_over(worker: ControlSocket, tmp_path: Path) -> None:
    prints = (
        "import threading\n"
        "def stray():\n"
        "    print('stray words', file=sys.stderr, flush=True)\n"
        "    (Path(sys.argv[1]) / 'printed').touch()\n"
        "threading.Timer(1.0, stray).start()\n"
    )
    code = _COCKPIT.replace("error = run", prints + "error = run")
    with PtySession([sys.executable, "-c", code, str(tmp_path)], env=environment(tmp_path), cwd=Path.cwd()) as session:
        session.wait_for("[CLAIMING")
        until((tmp_path / "printed").exists, "somebody has printed")
        session.type("\x03")
        assert session.process.wait(10) == 0
        until(lambda: b"stray words" in session.raw, "what was printed")
        assert session.raw.index(b"stray words") > session.raw.index(LEAVE_SCREEN)


@contextmanager
def cockpit(root: Path) -> Iterator[PtySession]:
    with PtySession([sys.executable, "-c", _COCKPIT, str(root)], env=environment(root), cwd=Path.cwd()) as session:
        session.wait_for("[CLAIMING")
        yield session


def left(session: PtySession) -> None:
    assert session.wait() == 0
    until(lambda: not session.on_screen, "the terminal without a screen")
    assert session.modes == session.modes_before


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("number", [signal.SIGTERM, *(pytest.param(n, marks=pytest.mark.long) for n in OTHERS)])
def test_a_signal_closes_it_and_nothing_reaches_the_worker(
    number: signal.Signals, fake: FakeControl, tmp_path: Path
) -> None:
    with cockpit(tmp_path) as session:
        session.signal(number)
        left(session)
    assert not fake.asked


@pytest.mark.usefixtures("worker")
def test_a_terminal_that_is_closed_ends_it(fake: FakeControl, tmp_path: Path) -> None:
    with cockpit(tmp_path) as session:
        session.close()
        assert session.wait() == 0
    assert not fake.asked


@pytest.mark.usefixtures("worker")
def test_a_ctrl_z_stops_it_and_fg_shows_the_worker_of_then(fake: FakeControl, tmp_path: Path) -> None:
    with PtySession(["bash", "--norc", "-i"], env=environment(tmp_path), cwd=Path.cwd()) as session:
        session.type(shlex.join([sys.executable, "-c", 'import os; exec(os.environ["COCKPIT"])', str(tmp_path)]) + "\r")
        session.wait_for("[CLAIMING")
        (process,) = psutil.Process(session.process.pid).children()
        session.type("\x1a")
        session.wait_for("Stopped")
        assert not session.on_screen
        assert process.status() == psutil.STATUS_STOPPED
        fake.pause()
        session.type("fg\r")
        session.wait_for("[PAUSED")
        assert session.on_screen
        session.type("q")
        session.wait_for("Leave?")
        session.type("\r")
        until(lambda: not session.on_screen and not process.is_running(), "the shell again")


@pytest.mark.usefixtures("worker")
def test_a_ctrl_z_where_no_shell_would_bring_it_back_is_refused(tmp_path: Path) -> None:
    with cockpit(tmp_path) as session:
        session.type("\x1a")
        session.wait_for("no shell is there to bring it back")
        assert session.on_screen
        session.type("q")
        session.wait_for("Leave?")
        session.type("\r")
        left(session)
