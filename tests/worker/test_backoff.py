"""The pauses after failures."""

from __future__ import annotations

import pytest

from gyoza_tui.worker.backoff import Backoff, doubling
from tests.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_pauses_double_with_jitter_up_to_thirty_seconds(clock: FakeClock) -> None:
    backoff = Backoff(clock)
    pauses = [backoff.fail() for _ in range(20)]
    for number, pause in enumerate(pauses):
        full = min(30, 0.5 * 2**number)
        assert full / 2 <= pause <= full
    assert len(set(pauses)) == 20, "no jitter"
    backoff.succeed()
    assert (backoff.remaining_s, backoff.fail() <= 0.5) == (0, True)


def test_without_jitter_the_pauses_are_those_given(clock: FakeClock) -> None:
    backoff = Backoff(clock, doubling(5, 30), jitter=False)
    assert [backoff.fail() for _ in range(5)] == [5, 10, 20, 30, 30]
    assert backoff.remaining_s == 30


def test_the_other_side_may_ask_for_more_up_to_the_last_pause(clock: FakeClock) -> None:
    backoff = Backoff(clock, (1, 10), jitter=False)
    assert [backoff.fail(4), backoff.fail(60)] == [4, 10]


def test_a_pause_is_as_long_as_it_says(clock: FakeClock) -> None:
    backoff = Backoff(clock)
    backoff.pause(600)
    clock.turn(599)
    assert backoff.remaining_s == pytest.approx(1)
    clock.turn(2)
    assert backoff.remaining_s == 0


def test_a_hurried_try_that_fails_waits_longer_all_the_same(clock: FakeClock) -> None:
    backoff = Backoff(clock, (5, 10), jitter=False)
    backoff.fail()
    backoff.hurry()
    assert (backoff.remaining_s, backoff.fail()) == (0, 10)
