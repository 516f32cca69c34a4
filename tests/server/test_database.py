"""The writer thread: whatever becomes of those who ask, it goes on."""

from __future__ import annotations

import threading
from pathlib import Path

from gyoza_tui.server.database import Database
from tests.waiting import until


def test_a_change_that_nobody_waits_for_any_more_is_left_out(tmp_path: Path) -> None:
    database = Database.open(str(tmp_path / "server.db"))
    database.start()
    gate, made = threading.Event(), []
    first = database.submit(lambda _: gate.wait(10))
    until(first.running, "the first is being made")
    left = database.submit(lambda _: made.append("left"))
    assert left.cancel()
    assert not first.cancel()
    last = database.submit(lambda _: made.append("last"))
    gate.set()
    assert first.result(10)
    last.result(10)
    database.close()
    assert made == ["last"]
