"""Where notices go: the printer that steps aside for a screen, and the worker's own log file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gyoza_tui.worker.notices import worker_log
from gyoza_tui.worker.notices.headless import Printer
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.notices.worker_log import WorkerLog
from gyoza_tui.worker.shutdown import EXIT_DONE
from gyoza_tui.worker.shutdown.signals import Signals
from gyoza_tui.worker.view.control import Ending
from tests.clock import FakeClock
from tests.scripted_server import ScriptedServer
from tests.waiting import until
from tests.worker.rig import Rig


@pytest.fixture
def notices() -> Notices:
    return Notices(FakeClock())


def test_a_paused_printer_prints_only_what_is_said_after_it_was_resumed(
    notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out, os.fdopen(reading) as printed:
        monkeypatch.setattr(sys, "stdout", out)
        printer = Printer(notices, "text")
        printer.pause()
        printer.start()
        notices.say("under the screen")
        printer.resume()
        notices.say("the screen is left")
        assert "the screen is left" in printed.readline()
        printer.pause()
        notices.say("another screen")
        printer.finish()
        out.close()
        assert printed.read() == ""


def test_the_log_file_has_every_notice_with_its_traceback(notices: Notices, tmp_path: Path) -> None:
    log = WorkerLog(notices, tmp_path / "worker.log")
    log.start()
    notices.say("it began")
    notices.say("r1: broken \x1b[2J", "error", run="r1", traceback="Traceback:\n  line 1\nKeyError: 'x'\n")
    log.finish()
    lines = log.path.read_text().splitlines()
    assert lines[0].endswith("   it began")
    assert lines[1].endswith(" x r1: broken ␛[2J")
    assert lines[2:] == ["    Traceback:", "      line 1", "    KeyError: 'x'"]
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_the_log_file_is_bounded(notices: Notices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_log, "KEPT_BYTES", 2000)
    log = WorkerLog(notices, tmp_path / "worker.log")
    log.start()
    for number in range(100):
        notices.say(f"notice {number} " + "x" * 60)
    log.finish()
    files = sorted(tmp_path.iterdir())
    assert {file.name for file in files} <= {"worker.log", "worker.log.1"}
    assert all(file.stat().st_size < 2200 for file in files)
    assert "notice 99" in "".join(file.read_text() for file in files)


def test_a_log_file_that_cannot_be_written_stops_nothing(notices: Notices, tmp_path: Path) -> None:
    log = WorkerLog(notices, tmp_path)
    log.start()
    notices.say("nowhere to go")
    log.finish()
    assert not log._thread.is_alive()


def test_secrets_of_a_run_are_in_no_notice(rig: Rig) -> None:
    rig.row(secret_env={"TOKEN": "hunter2-hunter2"})
    rig.parts.notices.say("create failed: TOKEN=hunter2-hunter2", "error", traceback="... hunter2-hunter2 ...")
    (notice,) = rig.parts.notices.recent()
    assert notice.text == "create failed: TOKEN=***"
    assert notice.fields["traceback"] == "... *** ..."


def test_the_end_may_be_waited_for_beside_the_main_thread(rig: Rig, scripted: ScriptedServer) -> None:
    rig.worker.begin()
    until(lambda: scripted.of("beat"), "the worker registered")
    codes: list[int] = []
    waiting = threading.Thread(target=lambda: codes.append(rig.worker.serve()), daemon=True)
    waiting.start()
    rig.worker.control.end(Ending.DRAIN)
    waiting.join(10)
    assert codes == [EXIT_DONE]
    assert len(scripted.of("delete")) == 1
    rig.worker.close()
    assert "bye" in rig.parts.state_dir.worker_log.read_text()


_SIGNALS = """
import os, signal, threading
from gyoza_tui.worker.shutdown.signals import Signals
signals = Signals()
signals.install()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)  # as a screen may leave them
signals.install()
got = []
def wait():
    while len(got) < 2:
        got.append(signals.next(5))
waiting = threading.Thread(target=wait)
waiting.start()
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    os.kill(os.getpid(), number)
waiting.join(10)
print(*map(int, got))
"""


def test_signals_are_heard_by_another_thread_and_can_be_installed_again() -> None:
    told = subprocess.run([sys.executable, "-c", _SIGNALS], capture_output=True, timeout=30, check=True)
    assert told.stdout.split() == [str(int(n)).encode() for n in (signal.SIGTERM, signal.SIGINT)]


def test_no_signal_is_no_word() -> None:
    assert Signals().next(0.001) is None
