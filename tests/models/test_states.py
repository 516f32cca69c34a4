"""The transition table, read as the contract has it."""

from __future__ import annotations

import pytest

from gyoza_tui.models.states import (
    EVENT_STATE,
    OP_EVENTS,
    OWNED,
    TERMINAL,
    TRANSITIONS,
    Cause,
    EventType,
    RunState,
    allowed,
)

P, A, R = RunState.PENDING, RunState.ASSIGNED, RunState.RUNNING
C, F, X = RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED

DIAGRAM = {
    P: {A, X, C, R},
    A: {P, R, F, X, C},
    R: {C, F, X, P},
    C: set(),
    F: {P},
    X: {P},
}


@pytest.mark.parametrize("source", list(RunState))
def test_the_table_is_the_diagram(source: RunState) -> None:
    assert {target for target in RunState if allowed(source, target)} == DIAGRAM[source]


def test_a_worker_cannot_bring_back_what_has_ended() -> None:
    assert not [t for t in TRANSITIONS if t.source in TERMINAL and t.cause is Cause.REPORT]


def test_only_a_late_word_leads_from_pending_past_assigned() -> None:
    causes = {t.cause for t in TRANSITIONS if t.source is P and t.target in (R, C)}
    assert causes == {Cause.LATE}


def test_an_ops_line_moves_no_state() -> None:
    assert not OP_EVENTS & set(EVENT_STATE)
    assert {state for state in RunState if state.terminal} == TERMINAL
    assert OWNED.isdisjoint(TERMINAL)
    assert set(EventType) >= set(EVENT_STATE)
