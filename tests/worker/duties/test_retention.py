"""Ended runs and their logs go by age and by size; what is not closed stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.duties.retention import Retention
from gyoza_tui.worker.journal.file import set_aside
from gyoza_tui.worker.journal.look import secrets_of
from gyoza_tui.worker.journal.row import RunRow
from tests.scripted_server import ScriptedServer
from tests.worker.rig import Rig

_DAY_S = 24 * 3600


@pytest.fixture
def rig(scripted: ScriptedServer, tmp_path: Path) -> Rig:
    return Rig(scripted, tmp_path / "state", {"history_days": 7, "history_max_mb": 2}).registered()


def _ended(rig: Rig, run_id: str, size: int = 10, *, acked: bool = True) -> Path:
    row = rig.row(run_id)
    log = rig.parts.state_dir.log_path(run_id, 1, "l1")
    log.mkdir()
    (log / "head").write_bytes(b"x" * size)
    rig.end(row)
    if acked:
        rig.deliver_for(0)
    rig.clock.turn(1)
    return log


def _prune(rig: Rig) -> None:
    Retention(rig.journal, rig.parts.state_dir, rig.clock, rig.parts.settings).prune()


def test_old_runs_go_with_their_logs(rig: Rig) -> None:
    old, waiting = _ended(rig, "old"), _ended(rig, "waiting", acked=False)
    rig.clock.turn(4 * _DAY_S)
    young = _ended(rig, "young") if not rig.journal.outbox() else waiting
    _prune(rig)
    assert old.exists()
    rig.clock.turn(3 * _DAY_S)
    _prune(rig)
    assert not old.exists()
    assert waiting.exists(), "its report is not delivered yet"
    assert young.exists()
    assert [row.run_id for row in rig.journal.rows()] == ["waiting"]


def test_the_oldest_go_when_all_logs_are_too_large(rig: Rig) -> None:
    logs = [_ended(rig, f"r{number}", 900 * 1024) for number in range(4)]
    _prune(rig)
    assert [log.exists() for log in logs] == [False, False, True, True]
    assert [row.run_id for row in rig.journal.closed(9)] == ["r3", "r2"]
    assert sum(file.stat().st_size for log in logs if log.exists() for file in log.iterdir()) <= 2 * MIB


def _stranger(rig: Rig, name: str, days: float, size: int = 10) -> Path:
    log = rig.parts.state_dir.log_path(name, 1, "l1")
    log.mkdir()
    (log / "head").write_bytes(b"x" * size)
    at = rig.clock.utc().timestamp() - days * _DAY_S
    os.utime(log, (at, at))
    return log


def test_logs_that_no_row_tells_of_go_by_their_own_age(rig: Rig) -> None:
    open_log = _ended(rig, "waiting", acked=False)
    os.utime(open_log, (0, 0))
    old, young = _stranger(rig, "old", 7.1), _stranger(rig, "young", 6.9)
    _prune(rig)
    assert [log.exists() for log in (open_log, old, young)] == [True, False, True]


def test_logs_that_no_row_tells_of_are_counted_with_the_others(rig: Rig) -> None:
    oldest, middle = _stranger(rig, "oldest", 3, 900 * 1024), _stranger(rig, "middle", 2, 900 * 1024)
    latest = _ended(rig, "latest", 900 * 1024)
    _prune(rig)
    assert [log.exists() for log in (oldest, middle, latest)] == [False, True, True]


def test_a_log_that_is_gone_is_no_fault(rig: Rig) -> None:
    log = _ended(rig, "r1")
    (log / "head").unlink()
    log.rmdir()
    _prune(rig)
    rig.clock.turn(8 * _DAY_S)
    _prune(rig)
    assert rig.journal.closed(9) == []


# Secrets are kept as long as the raw log that may hold them

_SECRET = "hunter2hunter2"


def _with_secret(rig: Rig, run_id: str, secret: str = _SECRET, *, began: bool = True) -> RunRow:
    row = rig.row(run_id, secret_env={"TOKEN": secret})
    if began:
        rig.journal.begin_step(row.key, "run_container")
    return row


def _is_readable(rig: Rig, secret: str = _SECRET) -> bool:
    """In any file of the journal, set aside or not."""
    return any(secret.encode() in file.read_bytes() for file in rig.parts.state_dir.root.glob("journal*"))


def _log(rig: Rig, run_id: str) -> Path:
    log = rig.parts.state_dir.log_path(run_id, 1, "l1")
    log.mkdir()
    (log / "head").write_bytes(b"x")
    return log


def _close(rig: Rig, row: RunRow) -> None:
    rig.end(row)
    rig.deliver_for(0)
    assert rig.closed(row)


def test_the_secrets_of_a_run_go_with_its_log(rig: Rig) -> None:
    row = _with_secret(rig, "r1")
    _log(rig, "r1")
    _close(rig, row)
    _prune(rig)
    assert _is_readable(rig)
    assert secrets_of(rig.parts.state_dir.journal, "r1") == (_SECRET,)
    rig.clock.turn(8 * _DAY_S)
    _prune(rig)
    assert not _is_readable(rig)


def test_a_log_that_cannot_be_removed_keeps_its_secrets(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row = _with_secret(rig, "r1")
    log = _log(rig, "r1")
    _close(rig, row)
    rig.clock.turn(8 * _DAY_S)
    with monkeypatch.context() as patched:
        patched.setattr("gyoza_tui.worker.duties.retention.shutil.rmtree", lambda *_, **__: None)
        _prune(rig)
    assert log.exists()
    assert secrets_of(rig.parts.state_dir.journal, "r1") == (_SECRET,)
    _prune(rig)
    assert not log.exists()
    assert not _is_readable(rig)


def test_an_attempt_that_is_handed_out_again_keeps_the_secrets_of_its_log(rig: Rig) -> None:
    _log(rig, "r1")
    _close(rig, _with_secret(rig, "r1"))
    again = _with_secret(rig, "r1", "changed-meanwhile")
    _close(rig, again)
    known = secrets_of(rig.parts.state_dir.journal, "r1")
    assert set(known or ()) == {_SECRET, "changed-meanwhile"}
    rig.clock.turn(8 * _DAY_S)
    _prune(rig)
    assert not _is_readable(rig)
    assert not _is_readable(rig, "changed-meanwhile")


def test_a_run_that_never_had_a_log_leaves_no_secret(rig: Rig) -> None:
    row = _with_secret(rig, "r1", began=False)
    assert _is_readable(rig)
    rig.release(row)
    rig.deliver_for(0)
    assert rig.closed(row)
    assert not _is_readable(rig)


def test_a_journal_that_was_set_aside_keeps_secrets_as_long_as_the_logs(
    scripted: ScriptedServer, tmp_path: Path
) -> None:
    first = Rig(scripted, tmp_path / "state", {"history_days": 7})
    _with_secret(first, "kept")
    _with_secret(first, "none", "of-a-run-without-a-log")
    log = _log(first, "kept")
    first.close()
    set_aside(first.parts.state_dir.journal, first.clock)
    second = Rig(scripted, tmp_path / "state", {"history_days": 7}).registered()
    now = second.clock.utc().timestamp()
    os.utime(log, (now, now))
    _stranger(second, "old", 8)
    _prune(second)
    assert secrets_of(second.parts.state_dir.journal, "kept") == (_SECRET,)
    assert not _is_readable(second, "of-a-run-without-a-log")
    second.clock.turn(8 * _DAY_S)
    _prune(second)
    assert not log.exists()
    assert not _is_readable(second)
    second.close()
