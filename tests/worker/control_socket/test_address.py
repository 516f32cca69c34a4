"""Where the socket is, and who may connect to it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.worker.control_socket import address, server
from gyoza_tui.worker.control_socket.connection import AttachError, Connection, NobodyListens
from tests.ui.fake_control import FakeControl
from tests.waiting import until
from tests.worker.control_socket.served import attached, listens, serving
from tests.worker.rig import Rig

NOBODY = 65534
CONNECT = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
connection.connect(sys.argv[1])
sys.stdout.buffer.write(connection.recv(4096))
"""


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that every user may look into."""
    path = Path(tempfile.mkdtemp(prefix="gyoza-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def _connect_as(user: int, root: Path) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-I", "-S", "-c", CONNECT, str(root / address.NAME), str(user)]
    return subprocess.run(argv, capture_output=True, timeout=30, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has processes of other users")
def test_another_user_can_not_connect_and_is_refused_in_words_who_could(open_dir: Path) -> None:
    with serving(FakeControl(), open_dir):
        kept_out = _connect_as(NOBODY, open_dir)
        assert b"PermissionError" in kept_out.stderr
        (open_dir / address.NAME).chmod(0o666)
        let_in = _connect_as(NOBODY, open_dir)
        assert let_in.stdout[4:] == b'{"refused":"this worker is another user\'s"}', let_in.stderr
        with attached(open_dir) as remote:
            assert remote.snapshot().worker_id == "lab-gpu-01"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at another user's worker")
def test_root_is_served_by_another_users_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    with serving(FakeControl(), tmp_path), attached(tmp_path) as remote:
        assert remote.duties()


def test_only_its_user_may_connect_from_the_first_moment(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        listener = address.listen(tmp_path)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / address.NAME).stat().st_mode) == 0o600
    listener.close()


def test_a_path_may_be_long(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 120) / ("y" * 120)
    root.mkdir(parents=True)
    with serving(FakeControl(), root), attached(root) as remote:
        assert remote.duties()


def test_without_a_worker_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NobodyListens, match="no worker listens at"):
        Connection(tmp_path)
    with pytest.raises(NobodyListens, match="no worker listens at"):
        Connection(tmp_path / "nothing")


def test_a_socket_that_is_left_over_is_replaced(tmp_path: Path) -> None:
    address.listen(tmp_path).close()
    with pytest.raises(NobodyListens, match="no worker listens at"):
        Connection(tmp_path)
    for _ in range(2):
        with serving(FakeControl(), tmp_path), attached(tmp_path) as remote:
            assert remote.duties()
        assert not (tmp_path / address.NAME).exists()


def test_a_socket_that_somebody_removes_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_THERE_S", 0.1)
    with serving(FakeControl(), tmp_path), attached(tmp_path) as before:
        (tmp_path / address.NAME).unlink()
        until(lambda: listens(tmp_path), "the socket")
        with attached(tmp_path) as remote:
            assert remote.duties()
        before.pause()
        assert before.contact().silent_s < 5


def test_a_socket_comes_back_once_there_is_room_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_THERE_S", 0.05)
    tried: list[Path] = []
    listen = address.listen

    def full(root: Path) -> object:
        tried.append(root)
        if len(tried) < 3:
            raise OSError(28, "No space left on device")
        return listen(root)

    with serving(FakeControl(), tmp_path):
        monkeypatch.setattr(address, "listen", full)
        (tmp_path / address.NAME).unlink()
        until(lambda: listens(tmp_path), "the socket")
        with attached(tmp_path) as remote:
            assert remote.duties()


def test_a_worker_that_can_have_no_socket_says_so_and_goes_on(rig: Rig) -> None:
    root = rig.parts.state_dir.root
    (root / address.NAME).mkdir()
    rig.worker._listen()
    assert "nobody can attach to this worker: " in rig.said()
    with pytest.raises(AttachError):
        Connection(root)
    rig.registered()
