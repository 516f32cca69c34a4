"""Files of the owner and of the worker that are damaged: words, exit 2, nothing half done, nothing lost."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from gyoza_tui.server.database import Database
from gyoza_tui.worker.state_dir.state_dir import StateDir
from gyoza_tui.worker_dirs import worker_dir
from tests.commands import installed

HERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "GYOZA_SERVER_URL": "http://127.0.0.1:1"}


def state(home: Path) -> Path:
    StateDir.open(home / "state", "desk").close()
    return worker_dir(home / "state", "desk")


def refused(home: Path, *arguments: str) -> str:
    done = installed(home, *(arguments or ("--no-ui",)), env=HERE)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    StateDir.open(home / "state", "desk").close()  # let go of
    return done.stderr


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"\x00" * 4096], ids=["text", "zeros"])
def test_a_damaged_journal_is_kept(tmp_path: Path, content: bytes) -> None:
    journal = state(tmp_path) / "journal.db"
    journal.write_bytes(content)
    told = refused(tmp_path)
    assert str(journal) in told
    assert "--new-journal" in told
    assert journal.read_bytes() == content


def test_a_newer_journal_is_kept(tmp_path: Path) -> None:
    journal = state(tmp_path) / "journal.db"
    with closing(sqlite3.connect(journal)) as db:
        db.execute("PRAGMA user_version = 9999")
    told = refused(tmp_path)
    assert str(journal) in told
    assert "newer" in told


def test_a_damaged_journal_ends_the_embedded_server_too(tmp_path: Path) -> None:
    root = state(tmp_path)
    (root / "journal.db").write_bytes(b"x" * 4096)
    done = installed(tmp_path, "--local", env=HERE)
    assert done.returncode == 2
    assert "journal.db" in done.stderr
    assert not (root / "server.json").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[ops.a]\ncommand = \n", "line 2, column"),
        ("[ops.a]\ncommand = 'not a list'\n", "command"),
        ("[ops.a]\ncommand = ['{unknown}']\n", "{unknown} is not known"),
        ("[ops.'../x']\ncommand = ['true']\n", "../x"),
        ("[ops.a]\n", "command"),
        ("nonsense = 1\n", "nonsense"),
    ],
)
def test_a_damaged_ops_file_is_told(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "ops.toml"
    path.write_text(content)
    told = refused(tmp_path, "--no-ui", "--ops-file", str(path))
    assert str(path) in told
    assert words in told


def test_an_ops_file_that_is_none(tmp_path: Path) -> None:
    assert "nothing.toml" in refused(tmp_path, "--no-ui", "--ops-file", "nothing.toml")


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "server.db"
    Database.open(str(database)).close()
    with closing(sqlite3.connect(database)) as db:
        db.execute("UPDATE meta SET value = '9999' WHERE key = 'schema_version'")
        db.commit()
    before = database.read_bytes()
    done = installed(tmp_path, "serve", "--port", "0", "--database", f"sqlite:///{database}")
    assert done.returncode == 2
    assert "newer" in done.stderr
    assert database.read_bytes() == before


def test_a_database_that_is_no_file_is_left_as_it_is(tmp_path: Path) -> None:
    device = tmp_path / "device"
    os.mkfifo(device, 0o644)
    done = installed(tmp_path, "serve", "--port", "0", "--database", str(device))
    assert done.returncode == 2
    assert "no regular file" in done.stderr
    assert stat.S_IMODE(device.stat().st_mode) == 0o644
    assert list(tmp_path.glob("device?*")) == []
