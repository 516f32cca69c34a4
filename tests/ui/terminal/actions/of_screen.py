"""What the keys do that hold everywhere: panels, dialogs, the worker itself."""

from __future__ import annotations

from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import WorkerState
from tests.scripted_server import Reply
from tests.ui.terminal.actions.proof import Act, proves
from tests.ui.terminal.desk import times_on_screen
from tests.ui.terminal.seat import LINES, NEEDLES, Seat
from tests.waiting import until


@proves("help")
def help_(seat: Seat, act: Act) -> None:
    act()
    seat.shows("esc closes")
    until(lambda: any("Run list" in line and "focused" in line for line in seat.session.lines), "the panel's keys")
    seat.press("escape")
    seat.hides("esc closes")


@proves("palette")
def palette(seat: Seat, act: Act) -> None:
    act()
    seat.shows("An action or a theme")
    seat.type("pause")
    until(lambda: "Theme" not in seat.session.text, "only what matches")
    seat.type("\r")
    seat.until_worker_is(WorkerState.PAUSED)
    seat.press("p")
    seat.until_worker_is(WorkerState.CLAIMING)


@proves("find")
def find(seat: Seat, act: Act) -> None:
    run = seat.reader()
    seat.write(act, f"run:{run.id}")
    until(lambda: f"/run:{run.id}  1 match" in seat.session.text, "what is left out")
    assert run.id in seat.cursor
    assert "COMPLETED" not in seat.session.text
    seat.press("escape")
    seat.hides("1 match")
    seat.press("3")
    seat.write(act, "needle")
    until(lambda: f"/{len(NEEDLES)}" in seat.log_rule, "the matches")


@proves("pause")
def pause(seat: Seat, act: Act) -> None:
    run = seat.reader()
    act()
    seat.until_worker_is(WorkerState.PAUSED)
    seat.shows("[PAUSED")
    assert seat.desk.house.state(run) is RunState.RUNNING
    act()
    seat.until_worker_is(WorkerState.CLAIMING)
    seat.shows("[CLAIMING")


@proves("drain")
def drain(seat: Seat, act: Act) -> None:
    run = seat.reader()
    act()
    seat.shows("Drain this worker?")
    seat.shows(run.id)
    seat.type("\r")
    seat.hides("Drain this worker?")
    assert seat.state == WorkerState.CLAIMING
    act()
    seat.shows("Drain this worker?")
    seat.type("y")
    seat.until_worker_is(WorkerState.DRAINING)
    assert seat.desk.house.state(run) is RunState.RUNNING
    act()
    seat.until_worker_is(WorkerState.CLAIMING)


@proves("maximise")
def maximise(seat: Seat, act: Act) -> None:
    act()
    seat.hides("── Log│Worker")
    assert "── Runs" in seat.session.text
    act()
    seat.shows("── Log│Worker")


@proves("back")
def back(seat: Seat, act: Act) -> None:
    run = seat.in_log()
    seat.press("2")
    seat.press("enter")
    until(lambda: run.id in seat.session.lines[0], "the run's screen")
    act()
    seat.shows("── Runs")
    seat.write(lambda: seat.press("slash"), "run:zz\r")
    seat.shows("0 match")
    seat.press("m")
    seat.hides("── Log│Worker")
    act()
    seat.hides("0 match")
    assert "── Log│Worker" not in seat.session.text
    act()
    seat.shows("── Log│Worker")


@proves("next_panel")
def next_panel(seat: Seat, act: Act) -> None:
    for panel in ("log", "worker", "resources", "runs"):
        act()
        assert seat.focused() == panel
    run_tabs(seat, act, "container", '"Id"', f"line {LINES}")


@proves("previous_panel")
def previous_panel(seat: Seat, act: Act) -> None:
    for panel in ("resources", "worker", "log", "runs"):
        act()
        assert seat.focused() == panel
    run_tabs(seat, act, '"Id"', "container", f"line {LINES}")


@proves("tab_log")
def tab_log(seat: Seat, act: Act) -> None:
    open_reader(seat)
    seat.press("tab")
    seat.shows("Steps")
    act()
    seat.shows(f"line {LINES}")


@proves("tab_run")
def tab_run(seat: Seat, act: Act) -> None:
    open_reader(seat)
    act()
    seat.shows("Steps")


@proves("tab_inspect")
def tab_inspect(seat: Seat, act: Act) -> None:
    open_reader(seat)
    act()
    seat.shows('"Id"')


def open_reader(seat: Seat) -> None:
    run = seat.reader()
    seat.press("enter")
    until(lambda: run.id in seat.session.lines[0], "the run's screen")


def run_tabs(seat: Seat, act: Act, *shown: str) -> None:
    seat.home()
    open_reader(seat)
    for text in shown:
        act()
        seat.shows(text)


@proves("focus_resources")
def focus_resources(seat: Seat, act: Act) -> None:
    act()
    assert seat.focused() == "resources"


@proves("focus_runs")
def focus_runs(seat: Seat, act: Act) -> None:
    seat.press("3")
    act()
    assert seat.focused() == "runs"


@proves("focus_log")
def focus_log(seat: Seat, act: Act) -> None:
    act()
    assert seat.focused() == "log"


@proves("focus_worker")
def focus_worker(seat: Seat, act: Act) -> None:
    act()
    seat.shows("heartbeat")
    assert seat.focused() == "worker"
    seat.press("3")
    seat.hides("heartbeat")


@proves("try_now")
def try_now(seat: Seat, act: Act) -> None:
    """The server has asked for half a minute without requests."""
    proxy = seat.proxy
    proxy.faults["beat"] = Reply({"detail": "busy"}, 503, {"Retry-After": "30"})
    try:
        until(lambda: "next try" in seat.session.lines[0] or "503" in seat.session.text, "the trouble on the screen")
    finally:
        proxy.faults.clear()
    before = len(proxy.of("beat"))
    act()
    until(lambda: len(proxy.of("beat")) > before, "a request at once", 10)
    until(lambda: "server ✓" in seat.session.lines[0], "the server answers")
    act()
    seat.shows("there is nothing to wait for")


@proves("mouse")
def mouse(seat: Seat, act: Act) -> None:
    for sent in (b"\x1b[?1000l", b"\x1b[?1000h"):
        seat.sends(act, sent)


@proves("copy_or_quit")
def copy_or_quit(seat: Seat, act: Act) -> None:
    seat.in_log()
    seat.drag("line 298")
    assert seat.copied(act) == "line 298"
    assert "Leave?" not in seat.session.text
    seat.press("escape")
    seat.press("2")
    act()
    seat.shows("Leave?")


@proves("suspend")
def suspend(seat: Seat, act: Act) -> None:
    run = seat.reader()
    act()
    seat.shows("Leave the screen?")
    seat.sends(lambda: seat.type("y"), b"Enter opens it again")
    assert not seat.session.on_screen
    assert seat.containers(run)
    assert seat.state == WorkerState.CLAIMING
    seat.type("\r")
    until(lambda: seat.session.on_screen and "q leave" in seat.session.text, "the screen again")


@proves("quit")
def quit_(seat: Seat, act: Act) -> None:
    run = seat.reader()
    seat.press("enter")
    until(lambda: run.id in seat.session.lines[0], "the run's screen")
    act()
    seat.shows("── Runs")
    act()
    seat.shows("Leave?")
    seat.type("\r")
    seat.hides("Leave?")
    assert seat.session.on_screen
    act()
    seat.shows("Leave?")
    shown = times_on_screen(seat.session)
    seat.press("down")
    seat.type("\r")
    seat.shows("Enter opens it again")
    assert not seat.session.on_screen
    assert seat.containers(run)
    assert seat.state == WorkerState.CLAIMING
    seat.type("\r")
    until(lambda: seat.session.on_screen and "q leave" in seat.session.text, "the screen again")
    assert times_on_screen(seat.session) == shown + 1
