"""The state directory: one holder, one identity, and nothing deleted that is not ours."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from gyoza_tui.backends.mount_table import mounts
from gyoza_tui.models.identity import check_id
from gyoza_tui.worker.state_dir.look import look
from gyoza_tui.worker.state_dir.removal import remove_tree
from gyoza_tui.worker.state_dir.state_dir import StateDir, StateDirError, attempt_name, log_files
from gyoza_tui.worker_dirs import worker_dir


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[StateDir]:
    made = StateDir.open(tmp_path, "desk")
    yield made
    made.close()


def refused(base: Path, worker_id: str = "desk") -> str:
    with pytest.raises(StateDirError) as error:
        StateDir.open(base, worker_id)
    return str(error.value)


# who holds it


def test_a_second_holder_is_told_who_has_it(tmp_path: Path, state_dir: StateDir) -> None:
    told = refused(tmp_path)
    since = datetime.fromtimestamp((state_dir.root / "holder").stat().st_mtime, UTC).astimezone()
    assert f"in use by pid {os.getpid()} on {socket.gethostname()} since {since:%Y-%m-%d %H:%M:%S}" in told
    assert f"its log is {state_dir.worker_log}" in told
    assert f"End it by `kill {os.getpid()}`" in told
    assert "--worker-id" in told


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"pid x on y", b"pid 1; rm -rf / on z"])
def test_a_damaged_note_of_the_holder_is_no_command(tmp_path: Path, state_dir: StateDir, content: bytes | None) -> None:
    (state_dir.root / "holder").unlink()
    if content is not None:
        (state_dir.root / "holder").write_bytes(content)
    told = refused(tmp_path)
    assert "is in use by" in told
    assert "End it: " in told


def test_another_process_is_refused_and_let_in_when_the_holder_was_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert f"pid {holder.pid} on" in refused(tmp_path)
    holder.kill()
    holder.communicate()
    StateDir.open(tmp_path, "desk").close()


def test_who_looks_keeps_out_neither_another_nor_the_worker(tmp_path: Path) -> None:
    StateDir.open(tmp_path, "desk").close()
    root = worker_dir(tmp_path, "desk")
    with (root / "lock").open() as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        assert look(root).note == ""
        threading.Timer(0.05, fcntl.flock, (looked_at, fcntl.LOCK_UN)).start()
        state_dir = StateDir.open(tmp_path, "desk")
    assert f"in use by pid {os.getpid()} on" in look(root).note
    state_dir.close()
    assert look(root).note == ""


_HOLD = """
import sys
from pathlib import Path
from gyoza_tui.worker.state_dir.removal import remove_tree
from gyoza_tui.worker.state_dir.state_dir import StateDir
held = StateDir.open(Path(sys.argv[1]), "desk")
print("held", flush=True)
sys.stdin.read()
"""


def test_another_worker_has_another(tmp_path: Path, state_dir: StateDir) -> None:
    other = StateDir.open(tmp_path, "other")
    assert other.root != state_dir.root
    assert other.instance_id != state_dir.instance_id
    other.close()


def test_nobody_else_reads_it(state_dir: StateDir) -> None:
    for path in (state_dir.root, state_dir.root / "runs", state_dir.root / "logs"):
        assert path.stat().st_mode & 0o077 == 0, path


# identity


def test_the_identity_stays_and_the_epoch_grows(tmp_path: Path) -> None:
    seen = []
    for _ in range(3):
        opened = StateDir.open(tmp_path, "desk")
        seen.append((opened.instance_id, opened.epoch))
        opened.close()
    assert len({instance for instance, _ in seen}) == 1
    epochs = [epoch for _, epoch in seen]
    assert epochs == sorted(set(epochs))


@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xfe", b"-3", b"9" * 30, b"1e9"])
def test_a_damaged_epoch_does_not_stop_the_start(tmp_path: Path, content: bytes) -> None:
    StateDir.open(tmp_path, "desk").close()
    (worker_dir(tmp_path, "desk") / "epoch").write_bytes(content)
    opened = StateDir.open(tmp_path, "desk")
    assert 0 < opened.epoch < 2**53
    opened.close()


@pytest.mark.parametrize("content", [b"\xff", b"a b", b"x" * 1000, b"../x"])
def test_a_damaged_identity_is_told(tmp_path: Path, content: bytes) -> None:
    StateDir.open(tmp_path, "desk").close()
    path = worker_dir(tmp_path, "desk") / "instance"
    path.write_bytes(content)
    assert str(path) in refused(tmp_path)
    assert path.read_bytes() == content, "kept for whoever can mend it"


# where it may be


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "NFS4", "cifs", "fuse.sshfs"])
def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4"), SimpleNamespace(mountpoint=str(tmp_path), fstype=kind)]
    monkeypatch.setattr("gyoza_tui.worker.state_dir.state_dir.psutil.disk_partitions", lambda **_: mounts)
    told = refused(tmp_path)
    assert kind in told
    assert "--state-dir" in told


def test_the_nearest_mount_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [
        SimpleNamespace(mountpoint="/", fstype="nfs"),
        SimpleNamespace(mountpoint=str(tmp_path), fstype="ext4"),
        SimpleNamespace(mountpoint=str(tmp_path)[:-1], fstype="nfs"),
    ]
    monkeypatch.setattr("gyoza_tui.worker.state_dir.state_dir.psutil.disk_partitions", lambda **_: mounts)
    StateDir.open(tmp_path, "desk").close()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for base in (tmp_path / "file", Path("/proc/nothing"), Path("/dev/null")):
        told = refused(base)
        assert "cannot be used" in told
        assert "--state-dir" in told


# run directories


def test_a_run_directory_is_open_inside_and_goes_with_all_it_holds(state_dir: StateDir) -> None:
    path = state_dir.make_run_dir("gyoza-a-1-x")
    assert path.stat().st_mode & 0o777 == 0o777
    assert state_dir.make_run_dir("gyoza-a-1-x") == path
    (path / "deep" / "er").mkdir(parents=True)
    (path / "deep" / "er" / "file").write_text("x")
    assert state_dir.run_dirs() == ["gyoza-a-1-x"]
    state_dir.remove_run_dir("gyoza-a-1-x")
    state_dir.remove_run_dir("gyoza-a-1-x")
    assert state_dir.run_dirs() == []
    assert not path.exists()


def test_what_has_no_marker_of_ours_stays(state_dir: StateDir) -> None:
    stranger = state_dir.run_dir("gyoza-b-1-x")
    stranger.mkdir()
    state_dir.remove_run_dir("gyoza-b-1-x")
    assert stranger.exists()


def test_nothing_is_deleted_through_a_link(state_dir: StateDir, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("years")
    mode = precious.stat().st_mode & 0o777
    inside = state_dir.make_run_dir("gyoza-c-1-x")
    (inside / "link").symlink_to(precious)
    state_dir.remove_run_dir("gyoza-c-1-x")
    replaced = state_dir.make_run_dir("gyoza-d-1-x")
    replaced.rmdir()
    replaced.symlink_to(precious)
    assert state_dir.make_run_dir("gyoza-d-1-x") == replaced, "as after a restart of the worker"
    state_dir.remove_run_dir("gyoza-d-1-x")
    assert (precious / "thesis").read_text() == "years"
    assert precious.stat().st_mode & 0o777 == mode
    assert list((state_dir.root / "runs").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("mount_point", ["", "mounted", "deep/er/mounted"])
def test_nothing_is_deleted_through_a_mount(state_dir: StateDir, tmp_path: Path, mount_point: str) -> None:
    """Of the same file system, too: what a local op has mounted, and left there."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("years")
    path = state_dir.make_run_dir("gyoza-m-1-x") / mount_point
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", precious, path], check=True)
    try:
        with pytest.raises(OSError, match=r"unmount it|busy"):
            state_dir.remove_run_dir("gyoza-m-1-x")
        assert (precious / "thesis").read_text() == "years"
    finally:  # moved up, it may be
        at = next(mount.at for mount in mounts() if mount.at.startswith(str(state_dir.root)))
        subprocess.run(["umount", at], check=True)
    state_dir.remove_run_dir("gyoza-m-1-x")
    assert (precious / "thesis").read_text() == "years"
    assert state_dir.run_dirs() == []


def test_a_directory_of_any_depth_goes(state_dir: StateDir) -> None:
    path = state_dir.make_run_dir("gyoza-e-1-x")
    subprocess.run([sys.executable, "-c", _DIG, str(path)], check=True)
    state_dir.remove_run_dir("gyoza-e-1-x")
    assert not path.exists()


_DIG = """
import os
import sys
os.chdir(sys.argv[1])
for _ in range(2100):
    for name in ("a", "b"):
        os.mkdir(name)
        open(f"{name}/file", "w").close()
    os.chdir("a")
"""


def test_a_directory_that_was_closed_to_its_owner_goes(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(_remove_closed(tmp_path))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _remove_closed(tmp_path: Path) -> int:
    """As somebody who is not root, whom a mode stops."""
    os.chdir(tmp_path)
    tree = Path("tree")
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").touch()
    if os.geteuid() == 0:
        for path in (Path(), tree, tree / "a", tree / "a" / "b"):
            os.chown(path, 65534, 65534)
        os.setuid(65534)
    for path in (tree / "a" / "b", tree / "a", tree):
        path.chmod(0)
    remove_tree(tree)
    return int(tree.exists())


# names


HOSTILE = [
    "../../etc",
    "/etc/passwd",
    "",
    ".",
    "..",
    "a/b",
    "a\x00b",
    "\x1b[2J",
    "x" * 300,
    "é",
    "\udc80",
    "-rf",
    "a b",
]


@pytest.mark.parametrize("run_id", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_id_names_nothing_else(state_dir: StateDir, run_id: str) -> None:
    for lease in (None, "a-b-c-d", run_id):
        name = attempt_name(run_id, 1, lease)
        check_id(name.removeprefix("gyoza-"))
        log = state_dir.log_path(run_id, 1, lease)
        log.mkdir()
        (found,) = log_files(state_dir.root)
        assert (found.attempt, found.path) == (1, log)
        log.rmdir()
        assert state_dir.make_run_dir(name).parent == state_dir.root / "runs"
        state_dir.remove_run_dir(name)


def test_different_ids_have_different_names() -> None:
    assert len({attempt_name(run_id, 1, "l") for run_id in HOSTILE}) == len(HOSTILE)


def test_the_logs_of_a_worker_are_found_by_run(state_dir: StateDir) -> None:
    for run_id, attempt in (("run_abc", 1), ("run_abc", 12), ("a-b-1-c", 3)):
        state_dir.log_path(run_id, attempt, "0123456789").mkdir()
    (state_dir.root / "logs" / "gyoza-nonsense.log").mkdir()
    assert sorted((file.run_id, file.attempt) for file in log_files(state_dir.root)) == [
        ("a-b-1-c", 3),
        ("run_abc", 1),
        ("run_abc", 12),
    ]


def test_a_host_with_a_strange_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "../../up")
    assert worker_dir(tmp_path, "desk").resolve().is_relative_to(tmp_path)
