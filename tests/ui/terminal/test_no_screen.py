"""Where there can be no screen: headless, and one line says why."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.commands import COMMAND
from tests.ui.terminal.desk import NAME, Desk
from tests.ui.terminal.pty_session import ENTER_SCREEN
from tests.waiting import until

BEGUN = f"worker {NAME}, server"


@pytest.mark.parametrize(
    ("command", "term", "why"),
    [
        (f"exec {COMMAND}", "dumb", "TERM=dumb cannot show one"),
        (f"exec {COMMAND}", "", "TERM= cannot show one"),
        (f"exec {COMMAND} </dev/null", "xterm", "stdin is no terminal"),
        (f"{COMMAND} | cat", "xterm", "stdout is no terminal"),
        (f"{COMMAND} 2>&1 >/dev/null | cat", "xterm", "stdout is no terminal"),
    ],
)
def test_it_says_why_and_goes_on(command: str, term: str, why: str, desk: Desk) -> None:
    with desk.started("bash", "-c", command, TERM=term) as session:
        desk.until_known()
        until(lambda: BEGUN in desk.log.read_text(), "its begin")
        lines = until(lambda: [line for line in session.text.splitlines() if "headless" in line], "why")
        assert lines == [f"gyoza-tui: {why}: no screen, headless as with --no-ui"]
        assert ENTER_SCREEN not in session.raw
        os.killpg(session.process.pid, signal.SIGTERM)
        session.wait()


def test_in_the_background_it_is_not_stopped(desk: Desk) -> None:
    with desk.started("bash", "--norc", "-i") as session:
        session.type(f"{COMMAND} &\r")
        session.wait_for("started in the background: no screen")
        session.wait_for(BEGUN)
        desk.until_known()
        session.type("echo stopped: $(jobs -s | wc -l)\r")
        session.wait_for("stopped: 0")
        session.type("kill %1; wait %1; echo code $?\r")
        session.wait_for("code 0")
        assert ENTER_SCREEN not in session.raw


def test_asked_for_none_it_says_nothing_of_it(desk: Desk) -> None:
    with desk.started(COMMAND, "--no-ui") as session:
        session.wait_for(BEGUN)
        assert "headless" not in session.text
        session.signal(signal.SIGTERM)
        assert session.wait() == 0


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"GYOZA_UI_KEYMAP": "puse=P"}, "did you mean pause?"),
        ({"GYOZA_UI_KEYMAP": "pause"}, "has no key"),
        ({"GYOZA_UI_KEYMAP": "pause=x"}, "would be"),
        ({"GYOZA_UI_THEME": "gyoza-drak"}, "did you mean gyoza-dark?"),
    ],
)
def test_keys_and_colours_that_cannot_be_are_refused_at_the_door(
    settings: dict[str, Any], fault: str, desk: Desk, tmp_path: Path
) -> None:
    with desk.started(COMMAND, **settings) as session:
        assert session.wait() == 2
        until(lambda: fault in session.text.replace("\n", ""), fault)
        assert ENTER_SCREEN not in session.raw
    assert not (tmp_path / "state").exists()
