"""How long a call of a backend is repeated."""

from __future__ import annotations

from gyoza_tui.backends.base import AttemptElsewhere, BackendError, BackendUnavailable, VanishedHandle
from gyoza_tui.worker.execution_pipeline.patience import FAULTS_S, Patience
from tests.clock import FakeClock


def test_a_call_that_fails_is_given_up_after_its_time() -> None:
    clock = FakeClock()
    patience = Patience(clock)
    assert not patience.over(BackendError("odd"))
    clock.turn(FAULTS_S - 1)
    assert not patience.over(BackendError("odd"))
    clock.turn(1)
    assert patience.over(BackendError("odd"))


def test_while_the_engine_does_not_answer_no_time_runs() -> None:
    clock = FakeClock()
    patience = Patience(clock)
    for _ in range(3):
        assert not patience.over(BackendError("odd"))
        clock.turn(2 * FAULTS_S)
        assert not patience.over(BackendUnavailable("away"))
        clock.turn(2 * FAULTS_S)
        assert not patience.over(BackendUnavailable("away"))


def test_an_attempt_that_is_gone_or_elsewhere_is_given_up_at_once() -> None:
    assert Patience(FakeClock()).over(VanishedHandle("gone"))
    assert Patience(FakeClock()).over(AttemptElsewhere("another engine"))
