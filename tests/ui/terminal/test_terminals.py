"""Terminals of all kinds and sizes, and what comes out of them."""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import WorkerState
from tests.commands import COMMAND
from tests.ui.terminal.desk import NAME, Desk, times_on_screen
from tests.ui.terminal.tmux import tmux_session
from tests.waiting import until

SEED = 20260314
_GLYPHS = "print(" + ascii("餃子 🥟🔎 é ▁█ \u202e ☃") + ")"
_BEYOND_ASCII = re.compile(rb"[^\x00-\x7e]")


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        (("--ascii",), {}),
        pytest.param((), {"NO_COLOR": "1"}, marks=pytest.mark.long),
        pytest.param((), {"TERM": "linux"}, marks=pytest.mark.long),
        ((), {"LC_ALL": "C"}),
    ],
    ids=["--ascii", "NO_COLOR", "TERM=linux", "no UTF-8"],
)
def test_no_character_beyond_ascii_where_there_may_be_none(
    flags: tuple[str, ...], env: dict[str, Any], desk: Desk
) -> None:
    image = desk.house.op("glyphs", sys.executable, "-I", "-S", "-X", "utf8", "-c", _GLYPHS)
    with desk.screen(*flags, **env) as session:
        run = desk.house.ended(desk.house.client.create_run(image))
        assert run.state is RunState.COMPLETED
        session.wait_for("????")
        for key, shown in (("?", "esc closes"), (":", "An action or a theme"), ("q", "Stay")):
            session.type(key)
            session.wait_for(shown)
            session.type("\x1b")
            session.wait_for_none(shown)
        desk.ends_well(session)
        session.wait_for("the worker has ended")
    assert _BEYOND_ASCII.search(session.raw) is None


def test_elsewhere_glyphs_are_shown_as_they_are(desk: Desk) -> None:
    image = desk.house.op("glyphs", sys.executable, "-I", "-S", "-X", "utf8", "-c", _GLYPHS)
    with desk.screen(GYOZA_UI_ASCII="false", NO_COLOR="1") as session:
        desk.house.ended(desk.house.client.create_run(image))
        session.wait_for("☃")
        session.wait_for("──")
        desk.ends_well(session)


@pytest.mark.parametrize("count", [15, pytest.param(200, marks=pytest.mark.long)])
def test_any_size(count: int, desk: Desk) -> None:
    dice = random.Random(SEED)
    with desk.screen() as session, desk.heartbeats():
        run = desk.flood(2)
        for _ in range(count):
            session.resize(dice.randint(1, 250), dice.randint(1, 80))
            time.sleep(0.05)
        session.resize(120, 40)
        until(lambda: NAME in session.lines[0] and "leave" in session.lines[-1], "the whole screen")
        assert desk.house.ended(run).state is RunState.COMPLETED
        assert times_on_screen(session) == 1
        desk.ends_well(session)


def noise(dice: random.Random) -> Iterator[bytes]:
    """Bytes and halves of escape sequences, without what confirms a dialog, and what opens a shell or a pager."""
    letters = [number for number in range(0x20, 0x7F) if chr(number) not in "yev"]
    quiet = [number for number in (*range(0x20), *letters, *range(0x7F, 256)) if chr(number) not in "\r\n\x1b"]
    while True:
        match dice.randint(0, 3):
            case 0:
                yield bytes(dice.choices(quiet, k=dice.randint(1, 20)))
            case 1:
                yield b"\x1b[" + bytes(dice.choices(b"0123456789;:<?", k=dice.randint(0, 12)))
            case 2:
                yield b"\x1b" + bytes(dice.choices(letters, k=1))
            case _:
                yield dice.choice((b"\x1b[100:68;2;68u", b"\x1b]52;c;", b"\x1bP", b"\x1b[<0;5;5M", b"\x1b[<35;9;9M"))


@pytest.mark.parametrize("count", [50, pytest.param(2000, marks=pytest.mark.long)])
def test_noise_on_the_line_does_nothing(count: int, desk: Desk) -> None:
    sleeper = desk.house.op("sleeper", "sleep", "600")
    sent = noise(random.Random(SEED))
    with desk.screen() as session, desk.heartbeats():
        run = desk.house.client.create_run(sleeper)
        desk.house.until_state(run, RunState.RUNNING)
        for _ in range(count):
            session.type(next(sent))
            time.sleep(0.01)
        session.type("\x1b[201~")
        assert desk.house.state(run) is RunState.RUNNING
        assert desk.house.client.get_worker(NAME).state in (WorkerState.CLAIMING, WorkerState.PAUSED)
        assert times_on_screen(session) == 1
        desk.house.client.update_run(run.id, state=RunState.CANCELLED)
        desk.house.ended(run)
        desk.ends_well(session)


def test_the_mouse_is_the_apps_only_when_it_may(desk: Desk) -> None:
    with desk.screen("--no-mouse") as session:
        assert b"\x1b[?1000h" not in session.raw
        session.type("M")
        session.wait_for_bytes(b"\x1b[?1000h")
        session.type("M")
        session.wait_for_bytes(b"\x1b[?1000l")
        desk.ends_well(session)
    assert b"\x1b[?1003h" not in session.raw


def test_in_tmux_as_it_comes(desk: Desk) -> None:
    """The shell's screen is back afterwards."""
    with tmux_session(desk) as tmux:
        tmux.type(f"echo before on $TERM; {COMMAND}; echo code $?", "Enter")
        until(lambda: NAME in tmux.lines[0] and "leave" in tmux.lines[-1], "the screen")
        desk.until_known()
        tmux.type("?")
        tmux.wait_for("esc closes")
        tmux.type("Escape")
        until(lambda: "esc closes" not in tmux.text, "the end of the help")
        tmux.type("D")
        tmux.wait_for("Drain this worker?")
        tmux.type("y")
        tmux.wait_for("code 0")
        assert re.search("before on (tmux|screen)", tmux.text)
    assert desk.log.exists()
