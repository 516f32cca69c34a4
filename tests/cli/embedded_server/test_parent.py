"""The embedded server: what is said while it cannot come back."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from gyoza_tui.cli.embedded_server import parent as local_server
from gyoza_tui.cli.embedded_server.parent import LocalServer
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.waiting import until


def _servers(before: set[int]) -> set[int]:
    return {child.pid for child in psutil.Process().children()} - before


def test_why_it_cannot_come_back_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_server, "AGAIN_S", 0.05)
    before, told = _servers(set()), list[str]()
    state_dir = StateDir.open(tmp_path, "desk")
    database = state_dir.root / "server.db"
    started: set[int] = set()

    def tried_again() -> bool:
        started.update(_servers(before))
        return len(started) > 2

    with LocalServer(state_dir, told.append, 7):
        started |= _servers(before)
        database.unlink()
        database.mkdir()
        psutil.Process(min(started)).kill()
        until(tried_again, "some tries")
        database.rmdir()
        until(lambda: told[-1] == "the embedded server is there again", "its return")
    state_dir.close()
    ended, why, _ = told
    assert ended.startswith("the embedded server ended; starting it again")
    assert f"cannot start: the database {database} is no regular file" in why
