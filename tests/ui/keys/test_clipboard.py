"""Copying says what was done, and that it may not arrive."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.geometry import Offset
from textual.selection import Selection

from gyoza_tui.ui.tty import clipboard
from gyoza_tui.ui.tty.clipboard import CopyError
from gyoza_tui.ui.widgets.log_view import LogView
from tests.ui.fake_control import snapshot
from tests.ui.keys.app import opened, run, running, until


def test_the_terminal_is_asked_by_osc_52() -> None:
    sent: list[str] = []
    said = clipboard.by_terminal("héllo", sent.append)
    assert sent == ["héllo"]
    assert "6 B" in said
    assert "ignore" in said


def test_what_terminals_would_drop_is_refused() -> None:
    sent: list[str] = []
    with pytest.raises(CopyError, match="100 KB"):
        clipboard.by_terminal("x" * (clipboard.OSC_52_MAX + 1), sent.append)
    assert sent == []
    clipboard.by_terminal("x" * clipboard.OSC_52_MAX, sent.append)
    assert len(sent) == 1


@pytest.mark.parametrize(("environ", "found"), [({}, False), ({"TMUX": ""}, False), ({"TMUX": "/tmp/t,1,0"}, True)])
def test_tmux_is_known_by_its_variable(environ: dict[str, str], found: bool) -> None:
    assert clipboard.in_tmux(environ) is found


@pytest.fixture
def tmux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tmux server of this test's own, and this process as if in it."""
    if not shutil.which("tmux"):
        pytest.skip("no tmux here")
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    subprocess.run(("tmux", "-f", "/dev/null", "new-session", "-d", "sleep 60"), check=True, timeout=60)
    shown = subprocess.run(
        ("tmux", "display-message", "-p", "#{socket_path},#{pid},0"),
        check=True, timeout=60, capture_output=True, text=True,
    )  # fmt: skip
    monkeypatch.setenv("TMUX", shown.stdout.strip())
    yield
    subprocess.run(("tmux", "kill-server"), check=True, timeout=60)


@pytest.mark.usefixtures("tmux")
def test_in_tmux_its_buffer_has_the_text() -> None:
    said = clipboard.by_tmux("line 1\nlïne 2")
    assert "tmux" in said
    buffer = subprocess.run(("tmux", "show-buffer"), check=True, timeout=60, capture_output=True, text=True).stdout
    assert buffer == "line 1\nlïne 2"


def test_a_tmux_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PATH", "/nowhere")
    with pytest.raises(CopyError, match="no tmux"):
        clipboard.by_tmux("x")


@pytest.mark.parametrize("key", ["c", "ctrl+c"])
def test_what_is_selected_in_a_log_is_copied_whole(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.delenv("TMUX", raising=False)

    async def look() -> None:
        async with opened(snapshot(runs=(running(1, "a1b2c3d4"),))) as it:
            it.fake.logs[1] = [b"line %d" % number for number in range(3000)]
            it.app.tick_log()
            log = it.app.screen.query_one(LogView)
            await until(lambda: log.line, "the log's lines")
            it.app.screen.selections = {log: Selection(Offset(5, 0), Offset(6, 1999))}
            await it.press(key)
            await until(lambda: it.app.clipboard, "the copy")
            assert it.app.clipboard.split("\n") == ["0", *(f"line {number}" for number in range(1, 1999)), "line 1"]
            it.app.screen.selections = {log: Selection(Offset(0, 0), Offset(6, 2500))}
            it.fake.trouble = "the disk is gone"
            await it.press(key)
            words = "not copied: the disk is gone"
            await until(lambda: words in [note.message for note in it.app._notifications], "the words")

    run(look())
