"""A duty's thread: what it tells when it dies, and that it is started again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from gyoza_tui.models.clock import SystemClock
from gyoza_tui.worker.backoff import PAUSES_S, Backoff
from gyoza_tui.worker.duties import duty as duty_module
from gyoza_tui.worker.duties.duty import Duty, Keeper
from gyoza_tui.worker.notices.notices import Notices
from tests.clock import FakeClock
from tests.waiting import until


class Mortal(Duty):
    """Does what a test says, one thing a tick; then waits to be woken."""

    name = "mortal"

    def __init__(self, clock: FakeClock | SystemClock, notices: Notices) -> None:
        super().__init__(clock, notices, threading.Event())
        self.killers: list[BaseException] = []
        self.ticks = 0

    def tick(self) -> float:
        self.ticks += 1
        if self.killers:
            raise self.killers.pop(0)
        return 30.0

    def wake(self) -> None:
        self._wake.set()


@pytest.fixture
def notices() -> Notices:
    return Notices(SystemClock())


@pytest.fixture
def duty(notices: Notices, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mortal]:
    monkeypatch.setattr(duty_module, "Backoff", partial(Backoff, pauses_s=(0.05, 0.1)))
    made = Mortal(SystemClock(), notices)
    keeper = Keeper([made])
    made.start()
    keeper.start()
    yield made
    keeper.stop()
    made.stop()


@pytest.mark.parametrize("killer", [SystemExit(3), KeyboardInterrupt(), GeneratorExit("odd")])
def test_a_duty_that_died_is_told_and_goes_on(duty: Mortal, notices: Notices, killer: BaseException) -> None:
    until(lambda: duty.status.last_ok, "its first tick")
    duty.killers.append(killer)
    duty.wake()
    until(lambda: duty.status.deaths == 1, "its death is shown")
    died = duty.status.last_error_at
    until(lambda: duty.status.alive and (duty.status.last_ok or 0.0) > (died or 0.0), "it is at work again")
    (notice,) = notices.recent()
    name = type(killer).__name__
    assert notice.level == "error"
    assert notice.text.startswith(f"mortal: its thread was ended by {name}")
    assert "in tick" in notice.fields["traceback"]
    assert (duty.status.last_error or "").startswith(f"its thread was ended by {name}")


def test_an_error_of_a_tick_is_no_death(duty: Mortal, notices: Notices) -> None:
    until(lambda: duty.status.last_ok, "its first tick")
    duty.killers.append(MemoryError("no room"))
    duty.wake()
    until(lambda: duty.ticks >= 3, "it tried again")
    assert (duty.status.alive, duty.status.deaths) == (True, 0)
    assert [notice.text for notice in notices.recent()] == ["mortal: MemoryError: no room"]


def test_a_duty_that_dies_at_once_is_started_again_ever_more_slowly(notices: Notices) -> None:
    clock = FakeClock()
    duty = Mortal(clock, notices)
    pauses = []
    for _ in range(8):
        duty.killers.append(SystemExit())
        duty.start()
        until(lambda: duty._thread and not duty._thread.is_alive(), "it died")
        duty.keep_alive()
        assert not duty.status.alive
        pauses.append((duty.status.next_try or 0.0) - clock.boot())
        duty.keep_alive()
        assert not duty.status.alive, "its time has not come"
        clock.turn(pauses[-1])
    assert duty.status.deaths == 8
    assert pauses[0] <= 0.5
    assert pauses[5] >= 4
    assert max(pauses) <= PAUSES_S[-1]
    duty.stop()


def test_a_duty_without_a_thread_is_told_and_gets_one_when_there_are_some_again(
    duty: Mortal, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: duty.status.last_ok, "its first tick")
    start, refused = threading.Thread.start, 2

    def none_left(thread: threading.Thread) -> None:
        nonlocal refused
        if refused and thread.name == "mortal":
            refused -= 1
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(duty_module, "_LOOK_S", 0.01)
    monkeypatch.setattr(threading.Thread, "start", none_left)
    duty.killers.append(SystemExit())
    duty.wake()
    until(lambda: duty.status.deaths == 3 and duty.status.alive and duty.ticks >= 3, "it is at work again")
    told = [notice.text for notice in notices.recent()]
    assert len([text for text in told if "ended by RuntimeError: can't start new thread" in text]) == 2, told


def test_a_stopped_duty_stays_ended(notices: Notices) -> None:
    duty = Mortal(SystemClock(), notices)
    duty.start()
    until(lambda: duty.status.last_ok, "its first tick")
    duty.stop()
    until(lambda: duty._thread and not duty._thread.is_alive(), "it ended")
    duty.keep_alive()
    assert duty.status.deaths == 0
    assert notices.recent() == ()
