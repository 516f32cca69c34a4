"""A person before one screen of a worker with real containers, for as long as a module lasts."""

from __future__ import annotations

import base64
import itertools
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import docker

from gyoza_tui.backends.base import Label
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.worker.op_output.log_spool import SpoolReader
from gyoza_tui.worker.state_dir.state_dir import log_files
from gyoza_tui.worker_dirs import worker_dir
from tests.blackbox.house import House
from tests.fault_proxy import FaultProxy
from tests.ui.terminal.desk import ENGINE, Desk
from tests.ui.terminal.pty_session import PtySession
from tests.waiting import until

ESC: Final = "\x1b"
KEYS: Final = {
    "question_mark": "?", "colon": ":", "slash": "/", "ampersand": "&", "space": " ", "enter": "\r", "tab": "\t",
    "left_square_bracket": "[", "right_square_bracket": "]", "escape": "\x1b[27u",
    "f1": "\x1bOP", "shift+tab": "\x1b[Z",
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F",
    "pageup": "\x1b[5~", "pagedown": "\x1b[6~", "ctrl+c": "\x03", "ctrl+p": "\x10", "ctrl+q": "\x11", "ctrl+z": "\x1a",
}  # fmt: skip
"""What a terminal sends for a key that has a name.

The escape is that of kitty's keyboard protocol, which Textual asks for: a bare ESC would be another key together with
what follows it at once, and how long "at once" is depends on how busy the machine is.
"""
_ROW: Final = re.compile(r"^[▌ ] [^ ] [A-Z]")
"""The cursor, a sign and the word for a run's state."""
SIZE: Final = (120, 40)
HISTORY: Final = 16
LINES: Final = 300
LATER_LINE: Final = 151
"""The reader pauses before it."""
LONG_LINE: Final = 290
NEEDLES: Final = (50, 150, 250)
ERRORS: Final = (100, 200)
_READER: Final = f"""
say() {{ n=$1; while [ $n -le $2 ]; do case $n in
    50|150|250) echo "line $n needle";;
    100|200) echo "line $n error";;
    {LONG_LINE}) printf 'line %d ' $n; m=10; while [ $m -le 60 ]; do printf 'word-%d ' $m; m=$((m+1)); done; echo;;
    *) echo "line $n";;
esac; n=$((n+1)); done; }}
say 1 {LATER_LINE - 1}; sleep 1.2; say {LATER_LINE} {LINES}
"""
_WAIT: Final = "trap 'exit 0' TERM; sleep 600 & wait"
_PAGER: Final = """#!/bin/sh
cp "$1" {copy}
echo "paged on $(tty)"
read answer
"""
_LOG_RULE: Final = "── Log│Worker"
_ASKS: Final = ("/", "&", "go to")
"""What a line to type into begins with."""
_MAIN: Final = ("── Runs", _LOG_RULE, "? help", "q leave")
_LEFT_OUT: Final = re.compile(r"^──.* [/&]\S")
"""A rule with a filter or a search."""
_LOG_ROW: Final = re.compile(r"^[\s►]*(?:\d\d:\d\d:\d\d )?line (\d+)\b")
_OSC_52: Final = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07")


class Seat:
    def __init__(self, desk: Desk, engine: docker.APIClient, proxy: FaultProxy) -> None:
        self.desk = desk
        self.engine = engine
        self.proxy = proxy
        self.client = desk.house.client
        self.paged = desk.root / "paged"
        self._pager = desk.root / "pager"
        self._pager.write_text(_PAGER.format(copy=self.paged))
        self._pager.chmod(0o755)
        self._nothing = desk.house.op("nothing", "true")
        self._numbers = itertools.count()
        self._reader: OpRun | None = None
        self._session: PtySession | None = None

    @property
    def settings(self) -> dict[str, str]:
        return {
            "DOCKER_HOST": ENGINE,
            "GYOZA_SERVER_URL": self.proxy.url,
            "GYOZA_PULL_POLICY": "missing",
            "GYOZA_DOCKER_NETWORK": "none",
            "GYOZA_MAX_RUNS": "8",
            "PAGER": str(self._pager),
        }

    @contextmanager
    def taken(self, *, broken: str | None = None) -> Iterator[None]:
        """The screen is up; with `broken`, `?` does that. Then what runs is cancelled, and the worker ended."""
        opened = self.desk.screen if broken is None else partial(self.desk.broken_screen, broken)
        with opened(size=SIZE, **self.settings) as self._session:
            until(lambda: "docker" in self.client.get_worker(self.desk.name).backends, "the engine is known")
            yield
            if self._session.process.poll() is not None:
                return
            self.cancel_everything()
            self.desk.ends_well(self.session, broken=broken is not None)
        assert self.containers() == []

    @property
    def session(self) -> PtySession:
        assert self._session is not None, "not taken"
        return self._session

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What fails in here comes with the screen as it was then."""
        try:
            yield
        except BaseException as error:
            error.add_note(self.session.text)
            raise

    # what the server, the engine and the files say

    @property
    def state(self) -> WorkerState | str:
        return self.client.get_worker(self.desk.name).state

    def until_worker_is(self, state: WorkerState) -> None:
        until(lambda: self.state == state, f"the worker is {state}")

    def containers(self, run: OpRun | None = None) -> list[dict[str, Any]]:
        label = f"{Label.WORKER}={self.desk.name}" if run is None else f"{Label.RUN}={run.id}"
        return [dict(found) for found in self.engine.containers(filters={"label": label})]

    def spool(self, run: OpRun) -> SpoolReader:
        root = worker_dir(self.desk.root / "state", self.desk.name)
        found = [file for file in log_files(root) if file.run_id == run.id]
        return SpoolReader(max(found, key=lambda file: file.attempt).path)

    def output_in(self, run: OpRun, *command: str) -> str:
        """What a command prints in the run's container."""
        (container,) = self.containers(run)
        exec_id = self.engine.exec_create(container["Id"], list(command))["Id"]
        output: bytes = self.engine.exec_start(exec_id)
        return output.decode()

    # runs

    def run(self, script: str = _WAIT, *, until_running: bool = True, **more: Any) -> OpRun:
        """A container's; its id is short enough to be shown wholly."""
        run = self.desk.house.script(script, id=f"n{next(self._numbers):03d}{uuid.uuid4().hex[:4]}", **more)
        if until_running:
            self.desk.house.until_state(run, RunState.RUNNING)
            until(lambda: self.containers(run), "its container")
        return run

    def printing(self) -> OpRun:
        """A run that goes on, and prints LINES lines at its begin."""
        return self.run(_READER + _WAIT)

    def failed(self) -> OpRun:
        run = self.run("echo giving up; exit 3", until_running=False)
        return self.desk.house.until_state(run, RunState.FAILED)

    def reader(self) -> OpRun:
        """The same one for as long as it goes on. Pointed at, the end of its log on the screen."""
        if self._reader is None or self.desk.house.state(self._reader) is not RunState.RUNNING:
            self._reader = self.printing()
        self.point_at(self._reader)
        self.press("G")
        until(lambda: self.log_numbers[-1] == LINES, "the end of the log")
        return self._reader

    def make_history(self) -> None:
        """More ended runs than a page of the list."""
        self.desk.house.ended(self.client.create_run(self._nothing, id="oldest"))
        for run in [self.client.create_run(self._nothing) for _ in range(HISTORY)]:
            self.desk.house.ended(run)

    def cancel_everything(self) -> None:
        live = [op.id for op in self.client.get_worker(self.desk.name).running_ops]
        for run_id in live:
            self.client.update_run(run_id, state=RunState.CANCELLED)
        until(lambda: not self.client.get_worker(self.desk.name).running_ops, "nothing runs any more")

    # hands

    def type(self, keys: str) -> None:
        self.session.type(keys)

    def press(self, key: str) -> None:
        """By the name that the table gives it."""
        self.type(KEYS.get(key, key))

    def write(self, ask: Callable[[], None], text: str) -> None:
        """Into the line that `ask` opens."""
        ask()
        until(lambda: any(line.startswith(_ASKS) for line in self.session.lines), "the line to type into")
        self.type(text)

    def choose(self, title: str) -> None:
        """In the palette."""
        self.type(":")
        self.shows("An action or a theme")
        self.type(title)
        until(lambda: sum(title in line for line in self.session.lines) >= 2, f"{title} in the palette")
        self.type("\r")

    def drag(self, text: str) -> None:
        """Over this text with the left button down."""
        row = next(y for y, line in enumerate(self.session.lines) if text in line)
        begin = self.session.lines[row].index(text)
        end = begin + len(text) - 1
        for code, column, final in ((0, begin, "M"), (32, begin + 1, "M"), (32, end, "M"), (0, end, "m")):
            self.type(f"{ESC}[<{code};{column + 1};{row + 1}{final}")

    def home(self) -> None:
        """The main screen with nothing over it and nothing left out; the run list has the focus."""
        for _ in range(8):
            if self._is_plain():
                break
            self.press("escape")
            time.sleep(0.1)  # what it closed is to leave the screen
        until(self._is_plain, "the plain main screen")
        self.type("32")

    def point_at(self, run: OpRun) -> None:
        """Put the run list's cursor on it, on the plain main screen."""
        self.write(lambda: self.type("/"), f"run:{run.id}")
        self.shows("1 match")
        self.type("\r")
        until(lambda: run.id[:8] in self.cursor, f"the cursor on {run.id}")
        self.press("escape")
        until(self._is_plain, "the whole list")
        until(lambda: run.id[:8] in self.cursor and run.id[:8] in self.log_rule, f"the cursor on {run.id}")

    def in_log(self) -> OpRun:
        """The reader's log has the focus, and follows."""
        run = self.reader()
        self.press("3")
        self.press("G")
        until(lambda: "FOLLOW" in self.log_rule and self.log_numbers[-1] == LINES, "the log's end")
        return run

    # eyes

    def shows(self, text: str) -> None:
        self.session.wait_for(text)

    def hides(self, text: str) -> None:
        until(lambda: text not in self.session.text, f"{text!r} is gone")

    @property
    def runs(self) -> list[str]:
        """The rows of the run list in sight, without why nothing runs."""
        above_log = itertools.takewhile(lambda line: not line.startswith(_LOG_RULE), self._from("── Runs")[2:])
        return [line for line in above_log if _ROW.match(line)]

    @property
    def cursor(self) -> str:
        """The run list's row with the cursor."""
        return next((line for line in self.runs if line.startswith("▌")), "")

    @property
    def log_rule(self) -> str:
        return self._from(_LOG_RULE)[0]

    @property
    def log(self) -> list[str]:
        """The rows of the log in sight."""
        return self._from(_LOG_RULE)[1:-1]

    @property
    def log_numbers(self) -> list[int | None]:
        """Which of the reader's lines they are."""
        return [int(found[1]) if (found := _LOG_ROW.match(row)) else None for row in self.log]

    def until_log(self, *, first: int | None = None, last: int | None = None) -> None:
        """These of the reader's lines are the first and the last in sight."""

        def reached() -> bool:
            numbers = self.log_numbers
            return first in (None, numbers[0]) and last in (None, numbers[-1])

        until(reached, f"the log from line {first} to line {last}")

    def focused(self) -> str:
        """The panel with the focus: the one that `m` leaves on the screen."""
        self.press("m")
        until(lambda: "q leave" not in self.session.text, "one panel")
        text = self.session.text
        self.press("m")
        until(self._is_plain, "all panels")
        if "── Runs" in text:
            return "runs"
        if _LOG_RULE not in text:
            return "resources"
        return "worker" if "heartbeat" in text else "log"

    def sends(self, act: Callable[[], None], data: bytes) -> None:
        """To the terminal."""
        before = len(self.session.raw)
        act()
        until(lambda: data in self.session.raw[before:], f"{data!r} at the terminal")

    def copied(self, act: Callable[[], None]) -> str:
        """What the terminal is asked to put on its clipboard."""
        before = len(self.session.raw)
        act()
        found = until(lambda: _OSC_52.search(bytes(self.session.raw[before:])), "OSC 52")
        return base64.b64decode(found[1]).decode()

    def _from(self, rule: str) -> list[str]:
        """The lines from that rule on, once it is drawn: what is written to the terminal comes in pieces."""

        def below() -> list[str]:
            lines = self.session.lines
            return next((lines[y:] for y, line in enumerate(lines) if line.startswith(rule)), [])

        return until(below, f"{rule!r} on the screen")

    def _is_plain(self) -> bool:
        lines = self.session.lines
        text = "\n".join(lines)
        over = "╭" in text or any(line.startswith(_ASKS) for line in lines)
        return all(part in text for part in _MAIN) and not over and not any(map(_LEFT_OUT.search, lines))


@contextmanager
def seat_at(root: Path, engine: docker.APIClient) -> Iterator[Seat]:
    """Not taken yet. No container of it is left afterwards."""
    with House(root) as house, FaultProxy(house.url) as proxy:
        house.engine = engine
        made = Seat(Desk(house, root, f"seat-{uuid.uuid4().hex[:6]}"), engine, proxy)
        try:
            yield made
        finally:
            for found in made.containers():
                engine.remove_container(found["Id"], force=True, v=True)
