"""Logs as files: whole, new, and where the user is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.ui import saved_logs


def test_the_log_is_saved_as_it_came(tmp_path: Path) -> None:
    path = saved_logs.save([b"\x1b[31mred\r\n", b"\xff\x00"], "classify", "a1b2", tmp_path)
    assert path == tmp_path / "classify-a1b2.log"
    assert path.read_bytes() == b"\x1b[31mred\r\n\xff\x00"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    paths = [saved_logs.save([bytes([n])], "op", "r", tmp_path) for n in range(3)]
    assert [path.name for path in paths] == ["op-r.log", "op-r-2.log", "op-r-3.log"]
    assert [path.read_bytes() for path in paths] == [b"\0", b"\1", b"\2"]


@pytest.mark.parametrize("op", ["../../etc/cron", "/abs", ".hidden", "a\nb", "\x1b]0;x\x07", "", "x" * 500, "."])
def test_a_name_from_outside_leads_nowhere_else(tmp_path: Path, op: str) -> None:
    path = saved_logs.save([b""], op, "../r", tmp_path)
    assert path.parent == tmp_path
    assert path.name.isprintable()
    assert not path.name.startswith(".")
    assert path.exists()


def test_a_log_that_cannot_be_read_to_its_end_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"begin"
        raise OSError("spool gone")

    with pytest.raises(OSError, match="spool gone"):
        saved_logs.save(broken(), "op", "r", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pagers_file_is_private() -> None:
    path = saved_logs.for_pager([b"secret"])
    try:
        assert path.read_bytes() == b"secret"
        assert path.stat().st_mode & 0o077 == 0
    finally:
        path.unlink()


def test_a_pager_is_given_nothing_that_acts_on_the_terminal() -> None:
    path = saved_logs.for_pager([b"\x1b[31mred\x1b[0m\x1b]52;c;b3d", b"uZWQ=\x07 \x1b[2Jend\x0e\x08\r\n\xff\x1b"])
    try:
        assert path.read_bytes().decode() == "\x1b[31mred\x1b[0m end\r\n\ufffd"
    finally:
        path.unlink()
