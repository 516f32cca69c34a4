"""Journal, spool and engine take two seconds for everything: keys show at once all the same."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from typing import Final

import docker
import pytest

from gyoza_tui.models.states import RunState
from tests.ui.terminal.desk import ENGINE, Desk
from tests.ui.terminal.pty_session import PtySession

pytestmark = pytest.mark.docker
SHOWN_S: Final = 0.1
SLOW_S: Final = 2.0
_SLOW: Final = f"""
import contextlib, os, sys, time
import requests
from gyoza_tui.worker.view.history import RunHistory
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.op_output.log_spool.reader import SpoolReader
from gyoza_tui.worker.op_output.log_spool.writer import SegmentWriter
where = sys.argv.pop(1)
def wait(what):
    if os.path.exists(os.path.join(where, "slow")):
        with open(os.path.join(where, "waited"), "a") as file:
            file.write(what + "\\n")
        time.sleep({SLOW_S})
def slowed(owner, name, what):
    quick = getattr(owner, name)
    def slow(*args, **named):
        wait(what)
        return quick(*args, **named)
    setattr(owner, name, slow)
def slowed_within(owner, name, what):
    quick = getattr(owner, name)
    @contextlib.contextmanager
    def slow(*args, **named):
        with quick(*args, **named) as opened:
            wait(what)
            yield opened
    setattr(owner, name, slow)
slowed_within(Journal, "_transaction", "journal")
slowed_within(RunHistory, "_open", "history")
slowed(SpoolReader, "_segments", "spool read")
slowed(SegmentWriter, "take", "spool written")
slowed(requests.Session, "send", "engine")
from gyoza_tui.__main__ import main
main()
"""
_ESC: Final = "\x1b"
_BACKTAB: Final = "\x1b[Z"
_KEYS: Final = (
    ("?", "esc closes", _ESC),
    (":", "An action or a theme", _ESC),
    ("D", "Drain this worker?", _ESC),
    ("q", "Stay", _ESC),
    ("4", "heartbeat", "3"),
    ("2\r", "Inspect", f"{_BACKTAB}{_ESC}"),
)
"""Each with what it shows, and what takes it away; the way back from the run passes the engine's view."""


def key_to_repaint(session: PtySession, key: str, text: str) -> float:
    began = time.monotonic()
    session.type(key)
    while text not in session.text:
        assert time.monotonic() < began + 10, session.text
        time.sleep(0.002)
    return time.monotonic() - began


def test_keys_show_at_once(desk: Desk, docker_engine: docker.APIClient) -> None:
    house = desk.house
    house.engine = docker_engine
    slow = desk.started(sys.executable, "-c", _SLOW, str(desk.root), DOCKER_HOST=ENGINE, GYOZA_PULL_POLICY="missing")
    with slow as session:
        session.wait_for(desk.name)
        run = house.script("while :; do echo tick; sleep 0.1; done")
        session.wait_for("tick")
        unhindered = statistics.median(keys_to_repaint(session))
        session.type(_ESC)
        (desk.root / "slow").touch()
        taken = [*keys_to_repaint(session)]
        session.type("2x")
        session.wait_for("Cancel this run?")
        taken.append(key_to_repaint(session, "y", "CANCELLING"))
        session.type(f"/run:{run.id}\r")
        taken += keys_to_repaint(session)
        session.type(_ESC)
        (desk.root / "slow").unlink()
        assert house.ended(run).state is RunState.CANCELLED
        desk.ends_well(session)
    waited = set((desk.root / "waited").read_text().splitlines())
    assert waited == {"journal", "history", "spool read", "spool written", "engine"}
    # on a machine that others use too, compared with what it takes there anyway
    assert statistics.median(taken) < max(SHOWN_S, 2 * unhindered)
    assert max(taken) < SLOW_S / 2


def keys_to_repaint(session: PtySession) -> Iterator[float]:
    for key, text, back in _KEYS:
        yield key_to_repaint(session, key, text)
        session.type(back)
        session.wait_for_none(text)
