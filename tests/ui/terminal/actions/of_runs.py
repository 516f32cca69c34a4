"""What is done with runs: judged by the server's data, the engine's containers, the files."""

from __future__ import annotations

import re
from functools import partial

from gyoza_tui.backends.base import Label
from gyoza_tui.models.nested import MaySubmit, Parent
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.models.workers import WorkerState
from tests.blackbox.house import events_of
from tests.ui.terminal.actions.proof import Act, proves
from tests.ui.terminal.seat import LINES, Seat
from tests.waiting import until


def asked(seat: Seat, question: str, *runs: OpRun) -> None:
    """The dialog names what it is about."""
    seat.shows(question)
    for run in runs:
        seat.shows(run.id)


def no_container(seat: Seat, run: OpRun) -> None:
    until(lambda: not seat.containers(run), "no container of it")


@proves("cancel")
def cancel(seat: Seat, act: Act) -> None:
    run = seat.run()
    seat.point_at(run)
    act()
    asked(seat, "Cancel this run?", run)
    seat.type("\r")
    seat.hides("Cancel this run?")
    assert seat.desk.house.state(run) is RunState.RUNNING
    act()
    asked(seat, "Cancel this run?", run)
    seat.type("y")
    seat.desk.house.until_state(run, RunState.CANCELLED)
    no_container(seat, run)


@proves("cancel_all")
def cancel_all(seat: Seat, act: Act) -> None:
    runs = [seat.run(), seat.run()]
    seat.point_at(runs[0])
    act()
    asked(seat, "Cancel ", *runs)
    seat.type("y")
    for run in runs:
        seat.desk.house.until_state(run, RunState.CANCELLED)
        no_container(seat, run)
    assert seat.state == WorkerState.CLAIMING


@proves("release")
def release(seat: Seat, act: Act) -> None:
    run = seat.run()
    seat.point_at(run)
    seat.press("p")
    seat.until_worker_is(WorkerState.PAUSED)
    act()
    asked(seat, "Release this run?", run)
    seat.type("y")
    released = seat.desk.house.until_state(run, RunState.PENDING)
    no_container(seat, run)
    assert not events_of(released, EventType.CANCELLED, EventType.FAILED)
    seat.client.update_run(run.id, state=RunState.CANCELLED)
    seat.press("p")
    seat.until_worker_is(WorkerState.CLAIMING)


@proves("family")
def family(seat: Seat, act: Act) -> None:
    parent = seat.run(may_submit=MaySubmit.ANY)
    (container,) = seat.containers(parent)
    proof = Parent(run=parent.id, attempt=1, lease=container["Labels"][Label.LEASE])
    child = seat.run(parent=proof)
    seat.point_at(parent)
    for other in (child, parent):
        act()
        until(lambda other=other: other.id in seat.cursor, f"the cursor on {other.id}")  # type: ignore[misc]
    seat.client.update_run(parent.id, state=RunState.CANCELLED)
    for run in (child, parent):
        seat.desk.house.until_state(run, RunState.CANCELLED)
        no_container(seat, run)


@proves("freeze")
def freeze(seat: Seat, act: Act) -> None:
    run = seat.run()
    seat.point_at(run)
    act()
    asked(seat, "Freeze this run?", run)
    seat.type("y")
    until(lambda: seat.client.get_run(run.id).frozen, "the server knows that it is frozen")
    until(lambda: "FROZEN" in seat.cursor, "its phase on the screen")
    seat.client.update_run(run.id, state=RunState.CANCELLED)
    no_container(seat, run)


@proves("thaw")
def thaw(seat: Seat, act: Act) -> None:
    run = seat.run()
    seat.client.update_run(run.id, frozen=True)
    seat.point_at(run)
    until(lambda: "FROZEN" in seat.cursor, "its phase on the screen")
    act()
    asked(seat, "Thaw this run?", run)
    seat.type("y")
    until(lambda: seat.client.get_run(run.id).frozen is None, "the server knows that it goes on")
    until(lambda: "RUNNING" in seat.cursor, "its phase on the screen")
    seat.client.update_run(run.id, state=RunState.CANCELLED)
    no_container(seat, run)


@proves("retry")
def retry(seat: Seat, act: Act) -> None:
    run = seat.failed()
    seat.point_at(run)
    until(lambda: "FAILED" in seat.cursor, "its end on the screen")
    act()
    asked(seat, "Retry this run?", run)
    assert seat.client.get_run(run.id).current_attempt == 1
    seat.type("y")
    until(lambda: seat.client.get_run(run.id).current_attempt == 2, "its second attempt")
    seat.desk.house.until_state(run, RunState.FAILED)


@proves("open")
def open_run(seat: Seat, act: Act) -> None:
    run = seat.reader()
    act()
    until(lambda: run.id in seat.session.lines[0], "the run's screen")
    seat.shows(f"line {LINES}")
    seat.press("tab")
    seat.shows("container")
    seat.press("tab")
    seat.shows('"Id"')


@proves("run_down")
def run_down(seat: Seat, act: Act) -> None:
    at_first(seat)
    act()
    until(lambda: seat.runs[1].startswith("▌"), "the cursor on the second run")


@proves("run_up")
def run_up(seat: Seat, act: Act) -> None:
    at_first(seat)
    for _ in range(2):
        seat.press("down")
    until(lambda: seat.runs[2].startswith("▌"), "the cursor on the third run")
    act()
    until(lambda: seat.runs[1].startswith("▌"), "the cursor on the second run")


@proves("run_page_down")
def run_page_down(seat: Seat, act: Act) -> None:
    at_first(seat)
    top = run_at(seat.runs[0])
    act()
    until(lambda: seat.runs[-1].startswith("▌"), "the cursor on the page's last run")
    assert run_at(seat.runs[0]) == top
    act()
    until(lambda: run_at(seat.runs[0]) != top, "another page")


@proves("run_page_up")
def run_page_up(seat: Seat, act: Act) -> None:
    at_first(seat)
    seat.press("end")
    until(lambda: "oldest" in seat.cursor, "the cursor on the oldest run")
    top = run_at(seat.runs[0])
    act()
    until(lambda: run_at(seat.cursor) == top, "the cursor on the page's first run")
    act()
    until(lambda: run_at(seat.runs[0]) != top, "another page")


@proves("run_first")
def run_first(seat: Seat, act: Act) -> None:
    at_first(seat)
    newest = seat.run()
    until(lambda: newest.id in seat.runs[0], "the newest run at the top")
    seat.press("end")
    until(lambda: "oldest" in seat.cursor, "the cursor on the oldest run")
    act()
    until(lambda: newest.id in seat.cursor, "the cursor on the newest run")
    seat.client.update_run(newest.id, state=RunState.CANCELLED)
    until(lambda: any(newest.id in row and "CANCELLED" in row for row in seat.runs), "its end, which moves it down")


@proves("run_last")
def run_last(seat: Seat, act: Act) -> None:
    at_first(seat)
    act()
    until(lambda: "oldest" in seat.cursor, "the cursor on the oldest run")


@proves("failures")
def failures(seat: Seat, act: Act) -> None:
    seat.press("home")
    run = seat.failed()
    until(lambda: _count(seat) > 0, "the red count")
    while unseen := _count(seat):
        act()
        until(partial(_fewer, seat, unseen), "one less that nobody has looked at")
        until(lambda: "FAILED" in seat.cursor, "the cursor on a failed run, once its end is delivered")
    act()
    seat.shows("no failed run in the list that nobody has looked at")
    assert seat.desk.house.state(run) is RunState.FAILED


def _count(seat: Seat) -> int:
    found = re.search(r"✗ (\d+) failed", seat.session.lines[0])
    return int(found[1]) if found else 0


def _fewer(seat: Seat, than: int) -> bool:
    return _count(seat) < than


@proves("copy")
def copy(seat: Seat, act: Act) -> None:
    run = seat.in_log()
    seat.press("up")
    marked = until(lambda: next((row for row in seat.log if row.startswith("►")), None), "the cursor on a line")
    assert seat.copied(act) in marked
    seat.drag("line 299")
    assert seat.copied(act) == "line 299"
    seat.press("2")
    seat.press("escape")
    assert seat.copied(act) == run.id


@proves("save")
def save(seat: Seat, act: Act) -> None:
    run = seat.reader()
    before = set(seat.desk.root.glob("*.log"))
    act()
    (path,) = until(lambda: set(seat.desk.root.glob("*.log")) - before, "the file")
    whole = b"".join(seat.spool(run).raw())
    assert whole.count(b"\n") >= LINES
    until(lambda: path.read_bytes() == whole, "the bytes of the log")
    seat.shows("saved")


@proves("pager")
def pager(seat: Seat, act: Act) -> None:
    run = seat.reader()
    seat.paged.unlink(missing_ok=True)
    act()
    seat.shows("paged on /dev/")
    assert seat.paged.read_bytes() == b"".join(seat.spool(run).raw())
    assert not seat.session.on_screen
    seat.type("\r")
    until(lambda: seat.session.on_screen, "the screen again")
    seat.shows("q leave")


@proves("shell")
def shell(seat: Seat, act: Act) -> None:
    run = seat.reader()
    act()
    seat.shows("~ #")
    assert not seat.session.on_screen
    seat.type("echo was here > /tmp/mark\r")
    until(lambda: seat.output_in(run, "cat", "/tmp/mark") == "was here\n", "the file in the container")
    seat.type("exit\r")
    until(lambda: seat.session.on_screen, "the screen again")
    seat.shows("q leave")
    assert seat.desk.house.state(run) is RunState.RUNNING


def run_at(row: str) -> str:
    """The id of a row's run."""
    return row[2:].split()[2]


def at_first(seat: Seat) -> None:
    seat.press("end")
    until(lambda: "oldest" in seat.cursor, "the cursor on the oldest run")
    seat.press("home")
    until(lambda: seat.runs[0].startswith("▌") and "oldest" not in seat.session.text, "the cursor on the first run")
