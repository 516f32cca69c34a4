"""What was left open to other users is closed at the next start."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gyoza_tui import private_files
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.server.database import Database
from gyoza_tui.server.errors import ServerError
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.state_dir.state_dir import StateDir


def open_to_others(root: Path) -> list[str]:
    """What others may look into or read, below a directory and itself."""
    paths = [root, *root.rglob("*")]
    return sorted(str(path.relative_to(root)) for path in paths if path.lstat().st_mode & 0o077)


def opened_up(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_workers_directory(tmp_path: Path) -> None:
    state_dir = StateDir.open(tmp_path, "desk")
    journal = Journal(state_dir.journal, SystemClock())
    state_dir.log_path("r", 1, "lease").write_text("output")
    for name in ("worker.log", "server.log", "server.db", "server.db-wal", "journal-20260101T000000Z.db"):
        (state_dir.root / name).write_text("x")
    opened_up(state_dir.root)
    assert (state_dir.root / "journal.db-wal").exists(), "as after kill -9"
    state_dir.close()
    again = StateDir.open(tmp_path, "desk")
    assert set(open_to_others(again.root)) <= {"lock"}  # which another library makes, and which is empty
    again.close()
    journal.close()


def test_a_new_workers_directory(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        state_dir = StateDir.open(tmp_path, "desk")
        journal = Journal(state_dir.journal, SystemClock())
        assert (state_dir.root / "journal.db-wal").exists()
        assert not [name for name in open_to_others(state_dir.root) if name.startswith("journal") or name == "."]
        journal.close()
        state_dir.close()
    finally:
        os.umask(old)


def test_a_servers_database(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    Database.open(str(path)).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT * FROM meta").fetchone()
        opened_up(tmp_path)
        assert (tmp_path / "server.db-wal").exists()
        with closing(Database.open(str(path))):
            assert not [
                name for name in open_to_others(tmp_path) if name in ("server.db", "server.db-wal", "server.db-shm")
            ]


@pytest.mark.parametrize("exists", [True, False])
def test_a_servers_database_behind_a_link(tmp_path: Path, exists: bool) -> None:
    """On a larger disk, or made there by this start."""
    link, disk = tmp_path / "server.db", tmp_path / "disk"
    disk.mkdir()
    link.symlink_to(disk / "real.db")
    if exists:
        Database.open(str(disk / "real.db")).close()
        (disk / "real.db").chmod(0o644)
    old = os.umask(0o022)
    try:
        with closing(Database.open(str(link))):
            names = {path.name for path in disk.iterdir() if not path.stat().st_mode & 0o077}
            assert names >= {"real.db", "real.db-wal", "real.db-shm"}
            with pytest.raises(ServerError, match="is in use"):
                Database.open(str(disk / "real.db"))
    finally:
        os.umask(old)


def test_nothing_is_closed_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    target.chmod(0o644)
    (tmp_path / "link").symlink_to(target)
    private_files.close_file(tmp_path / "link")
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_directory_may_be_a_link_to_a_larger_disk(tmp_path: Path) -> None:
    StateDir.open(tmp_path, "desk").close()
    logs, disk = next(tmp_path.rglob("logs")), tmp_path / "disk"
    disk.mkdir(mode=0o755)
    logs.rmdir()
    logs.symlink_to(disk)
    StateDir.open(tmp_path, "desk").close()
    assert disk.stat().st_mode & 0o777 == 0o700


def test_the_directory_that_holds_the_workers_is_left_as_it_is(tmp_path: Path) -> None:
    """It may be any directory: `--state-dir .` must not close a home to a web server."""
    tmp_path.chmod(0o755)
    StateDir.open(tmp_path, "desk").close()
    Database.open(str(tmp_path / "server.db")).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
