"""How the worker ends: the stages of signals, drains and their limits, the good-bye, the printer."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.text import visible
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.session import Bounds
from gyoza_tui.worker.shutdown import EXIT_DONE, EXIT_LEFT
from gyoza_tui.worker.view.control import Ending
from tests.scripted_server import Reply, Request, ScriptedServer, refusal
from tests.worker.rig import Rig

_INT, _TERM = 2, 15


class Script:
    """Signals as they come, one per look of the main thread; between them it does what a test wants."""

    def __init__(self, rig: Rig, *steps: Any) -> None:
        self._rig = rig
        self._steps: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for step in steps:
            self._steps.put(step)
        self.looks = 0

    def next(self, timeout_s: float) -> int | None:
        self.looks += 1
        assert self.looks < 2000, f"it does not end: {self._rig.said()}"
        self._rig.clock.turn(timeout_s)
        if self._steps.empty():
            return None
        step = self._steps.get()
        return step if isinstance(step, int) else step()


def _ends(rig: Rig, *steps: Any) -> int:
    """Wait for the end with these signals and happenings; the exit code."""
    rig.worker.signals.next = Script(rig, *steps).next  # type: ignore[method-assign]
    return rig.parts.shutdown.wait()


def _finishes(rig: Rig, key: int) -> None:
    """What the slot thread would do for an intent."""
    row = rig.journal.get(key)
    if row is not None:
        rig.release(row) if row.intent is Intent.RELEASE else rig.end(row)


def test_a_drain_of_an_idle_worker_says_good_bye(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    assert _ends(rig, _INT) == EXIT_DONE
    (bye,) = scripted.of("delete")
    assert bye.path == "/workers/w1"
    assert bye.query == {"instance_id": rig.parts.state_dir.instance_id}


def test_a_worker_that_never_reached_its_server_ends_at_once(rig: Rig, scripted: ScriptedServer) -> None:
    assert _ends(rig, _TERM) == EXIT_DONE
    assert scripted.requests == []


def test_a_drain_finishes_and_delivers_first(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    seen: list[Any] = []

    def look() -> None:
        seen.append((rig.parts.mode.state, len(scripted.of("delete"))))

    def deliver() -> None:
        rig.deliver_for(0)

    assert _ends(rig, _TERM, look, look, lambda: _finishes(rig, row.key), look, deliver) == EXIT_DONE
    assert seen == [("draining", 0)] * 3
    assert scripted.events() == [("COMPLETED", 1)]
    assert len(scripted.of("delete")) == 1


def test_a_drain_with_parents_says_so_and_what_it_waits_for(rig: Rig, scripted: ScriptedServer) -> None:
    row, other = rig.registered().row(), rig.row("other")
    rig.journal.update(row.key, waiting_since=1.0, waits_of=1)
    scripted.defaults["beat"] = refusal(500)
    said: list[str] = []

    def look() -> None:
        said.append(rig.said())

    def beat() -> None:
        rig.beat()

    _ends(rig, _TERM, beat, look, lambda: _finishes(rig, other.key), look, look, _INT, _INT)
    before, after, last = said
    assert "finishing 2 runs (1 parent among them, whose children are still claimed)" in before
    assert "the drain waits" not in before, "another run is at work"
    assert "1 run here cannot go on before the children have ended" in after + last
    assert rig.said().count("the drain waits for the server (") == 1


def test_what_cannot_be_delivered_does_not_hold_a_drain_up(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.end(rig.row("held", server_id="another"))
    rig.end(rig.row("unknown"))
    scripted.defaults["event"] = refusal(404, "run_unknown")
    rig.deliver_for(1)
    assert _ends(rig, _TERM) == EXIT_DONE
    assert scripted.of("delete") == [], "a row is left: DELETE would give runs back"
    assert scripted.of("beat")[-1].body["state"] == "away"


def test_a_drain_that_takes_too_long_detaches(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = Rig(scripted, tmp_path / "state", {"drain_timeout_s": 60}).registered()
    row = rig.row()
    began = rig.clock.boot()
    assert _ends(rig, _INT) == EXIT_DONE
    assert 60 <= rig.clock.boot() - began < 62
    assert rig.now(row).intent is Intent.NONE, "the container stays for the next start"
    assert scripted.of("beat")[-1].body["state"] == "away"
    assert "detached" in rig.parts.ending.words, "what cockpits are told"
    rig.close()


def test_an_undone_drain_goes_on_as_if_nothing_was_said(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = Rig(scripted, tmp_path / "state", {"drain_timeout_s": 60}).registered()
    row = rig.row()

    def much_later() -> None:
        rig.clock.turn(1000)

    def still_claiming() -> None:
        assert rig.parts.mode.state == "claiming"
        assert rig.now(row).intent is Intent.NONE

    steps = [_INT, rig.worker.control.undo_drain, much_later, still_claiming, _INT]
    began = rig.clock.boot()
    assert _ends(rig, *steps, lambda: _finishes(rig, row.key), lambda: rig.deliver_for(0)) == EXIT_DONE
    assert rig.closed(row), "the second signal was a first one again: a drain, no release"
    assert scripted.events() == [("COMPLETED", 1)]
    assert rig.clock.boot() - began > 1000
    rig.close()


def test_a_second_signal_stops_and_gives_back(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()

    def stopped() -> None:
        assert rig.now(row).intent is Intent.RELEASE
        _finishes(rig, row.key)

    assert _ends(rig, _INT, _INT, lambda: None, stopped, lambda: rig.deliver_for(0)) == EXIT_DONE
    assert scripted.of("patch")[0].body["state"] == "PENDING"
    assert len(scripted.of("delete")) == 1


def test_once_a_session_is_over_the_first_signal_gives_back(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    rig.parts.session.bounds = Bounds(max_seconds=5)
    rig.parts.session.begin()

    def time_is_over() -> None:
        rig.clock.turn(5)

    def stopped() -> None:
        assert rig.now(row).intent is Intent.RELEASE, "as the drain said of a second signal"
        _finishes(rig, row.key)

    assert _ends(rig, time_is_over, _TERM, stopped, lambda: rig.deliver_for(0)) == EXIT_DONE
    assert scripted.of("patch")[0].body["state"] == "PENDING"


def test_after_a_release_delivery_is_tried_for_ten_seconds(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    rig.release(row)
    began = rig.clock.boot()
    assert _ends(rig, _TERM, _TERM) == EXIT_DONE
    assert 10 <= rig.clock.boot() - began < 15
    assert scripted.of("delete") == []
    assert scripted.of("beat")[-1].body["state"] == "away"


def test_a_third_signal_leaves_at_once(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    beats = len(scripted.of("beat"))
    assert _ends(rig, _INT, _TERM, _INT) == EXIT_LEFT
    assert rig.journal.get(row.key) is not None
    assert (len(scripted.of("beat")), scripted.of("delete")) == (beats, [])


def test_sigterm_may_detach(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = Rig(scripted, tmp_path / "state", {"on_sigterm": "detach"}).registered()
    row = rig.row()
    assert _ends(rig, _TERM) == EXIT_DONE
    assert rig.now(row).intent is Intent.NONE
    assert scripted.of("beat")[-1].body["state"] == "away"
    rig.close()


def test_each_stage_says_what_the_next_one_does(rig: Rig) -> None:
    rig.registered().row()
    _ends(rig, _INT, _INT, _INT)
    said = rig.said()
    assert "a second signal stops and gives them back" in said
    assert "a third signal leaves at once" in said
    assert "containers stay for the next start" in said


@pytest.mark.parametrize("trouble", [refusal(500), refusal(404, "worker_unknown"), Reply(drop=True)])
def test_a_good_bye_that_is_not_heard_is_no_fault(rig: Rig, scripted: ScriptedServer, trouble: Reply) -> None:
    rig.registered()
    scripted.defaults["delete"] = trouble
    assert _ends(rig, _INT) == EXIT_DONE
    assert "the good-bye was not heard" in rig.said()


def test_a_good_bye_to_a_server_that_is_away_is_retried_with_pauses_for_two_seconds(
    rig: Rig, scripted: ScriptedServer
) -> None:
    rig.registered().row()
    refused_at: list[float] = []

    def refuse(_: Request) -> Reply:
        rig.clock.turn(0.01)
        refused_at.append(rig.clock.boot())
        return refusal(503)

    scripted.defaults["beat"] = refuse
    assert _ends(rig, lambda: rig.worker.control.end(Ending.DETACH)) == EXIT_DONE
    assert 4 <= len(refused_at) <= 10
    assert 1.5 < refused_at[-1] - refused_at[0] <= 2.1


def test_a_lower_ending_never_replaces_a_higher_one(rig: Rig) -> None:
    control = rig.worker.control
    control.end(Ending.RELEASE)
    control.end(Ending.DRAIN)
    assert rig.parts.ending.now is Ending.RELEASE
    control.undo_drain()
    assert rig.parts.ending.now is Ending.RELEASE


# The printer


_PRINTER = """
import os, sys, time
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.worker.notices.headless import Printer
from gyoza_tui.worker.notices.notices import Notices
notices = Notices(SystemClock())
printer = Printer(notices, sys.argv[1])
printer.start()
for number in range(int(sys.argv[2])):
    notices.say("caf\\u00e9 \\x1b[31mred\\nline " + "x" * 200, "warning", run="r1", number=number)
printer.finish()
os.write(2, b"ended")
os._exit(0)
"""


def _printer(log_format: str, count: int, **more: Any) -> subprocess.CompletedProcess[bytes]:
    arguments = [sys.executable, "-c", _PRINTER, log_format, str(count)]
    return subprocess.run(arguments, stderr=subprocess.PIPE, timeout=30, check=False, **more)


def test_one_line_per_event_without_control_characters() -> None:
    told = _printer("text", 3, stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "utf-8"})
    lines = told.stdout.decode().splitlines()
    assert len(lines) == 3
    assert "café ␛[31mred␊line xxx" in lines[0]


def test_json_lines() -> None:
    told = _printer("json", 2, stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "utf-8"})
    first, second = (json.loads(line) for line in told.stdout.decode().splitlines())
    assert (first["level"], first["run"], first["number"], second["number"]) == ("warning", "r1", 0, 1)
    assert first["t"].endswith("Z")


def test_an_encoding_that_knows_no_accents_ends_no_printer() -> None:
    told = _printer("text", 2, stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert len(told.stdout.splitlines()) == 2
    assert b"caf\\xe9" in told.stdout


def test_a_full_pipe_delays_the_end_by_half_a_second() -> None:
    reading, writing = os.pipe()
    try:
        assert _printer("text", 5000, stdout=writing).stderr == b"ended"
    finally:
        os.close(reading)
        os.close(writing)


def test_a_pipe_that_nobody_reads_any_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert _printer("text", 10, stdout=writing).stderr == b"ended"
    finally:
        os.close(writing)


def test_no_stdout_at_all_writes_into_nobodys_file(tmp_path: Path) -> None:
    """Its number goes to the next file that is opened: notices in the journal would be its end."""
    script = f'exec >&-; exec {sys.executable} -c "$0" text 5'
    code = f"journal = open({str(tmp_path / 'journal')!r}, 'w')\nassert journal.fileno() == 1\n" + _PRINTER
    told = subprocess.run(["sh", "-c", script, code], stderr=subprocess.PIPE, timeout=30, check=False)
    assert told.stderr == b"ended"
    assert (tmp_path / "journal").read_bytes() == b""


def test_visible_keeps_one_line() -> None:
    assert visible("a\x1b[2Jb\r\nc\td\x00é\u202e") == "a␛[2Jb␍␊c␉d␀é\\u202e"
