"""The screen goes and comes back: runs, steps, times and log are as before."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import events_of
from tests.ui.terminal.desk import CRASH
from tests.ui.terminal.seat import LINES, Seat, seat_at
from tests.waiting import until

pytestmark = pytest.mark.docker
_STEPS = re.compile(r"✓inputs \S+ ✓image \S+ ✓start \S+ ►container")


@pytest.fixture
def place(tmp_path: Path, docker_engine: docker.APIClient) -> Iterator[Seat]:
    with seat_at(tmp_path, docker_engine) as made:
        yield made


def seen(seat: Seat, run: OpRun, ended: OpRun) -> tuple[str, ...]:
    """What the screen tells of a run that goes on and of one that has ended, without what time changes."""
    seat.shows(f"line {LINES}")
    steps = until(lambda: _STEPS.search(seat.log_rule), "the steps with their times")
    history = until(lambda: next((row for row in seat.runs if ended.id in row), None), "the history")
    return steps[0], history[2:], *seat.log


def age(seat: Seat, run: OpRun) -> int:
    row = next(row for row in seat.runs if run.id in row)
    minutes, seconds = re.findall(r"(\d+):(\d\d)", row)[-1]
    return int(minutes) * 60 + int(seconds)


@pytest.mark.parametrize("way", ["kill -9", pytest.param("detach", marks=pytest.mark.long)])
def test_started_again_it_shows_the_same(way: str, place: Seat) -> None:
    with place.taken():
        ended = place.failed()
        run = place.reader()
        before, then = seen(place, run, ended), age(place, run)
        (container,) = place.containers(run)
        if way == "detach":
            place.press("q")
            place.shows("Detach")
            place.type("jjj\r")
        else:
            place.session.signal(signal.SIGKILL)
        assert place.session.wait() == (0 if way == "detach" else -signal.SIGKILL)
        if way == "detach":
            assert place.session.modes == place.session.modes_before
    assert [found["Id"] for found in place.containers(run)] == [container["Id"]]
    assert place.desk.house.state(run) is RunState.RUNNING

    with place.taken():
        until(lambda: run.id in place.cursor, "the run")
        place.shows("adopted")
        until(lambda: seen(place, run, ended) == before, f"the same on the screen: {before}")
        assert age(place, run) >= then
        assert [found["Id"] for found in place.containers(run)] == [container["Id"]]
        place.output_in(run, "sh", "-c", "echo late news > /proc/1/fd/1")
        until(lambda: "late news" in place.log[-1], "what it prints now")
    final = place.client.get_run(run.id)
    assert len(final.attempts) == 1
    assert len(events_of(final, EventType.STARTED)) == 1
    assert b"".join(place.spool(run).raw()).count(b"line 7\n") == 1


def test_opened_again_after_a_crash_it_shows_the_same(place: Seat) -> None:
    with place.taken(broken=CRASH):
        ended = place.failed()
        run = place.reader()
        before, then = seen(place, run, ended), age(place, run)
        (container,) = place.containers(run)
        place.press("question_mark")
        place.shows("Enter opens it again")
        assert not place.session.on_screen
        place.press("enter")
        until(lambda: place.session.on_screen, "the screen again")
        place.home()
        until(lambda: run.id in place.cursor, "the run")
        until(lambda: seen(place, run, ended) == before, f"the same on the screen: {before}")
        assert age(place, run) >= then
        assert [found["Id"] for found in place.containers(run)] == [container["Id"]]
        assert place.desk.house.state(run) is RunState.RUNNING
