"""A run in a few words."""

from __future__ import annotations

import pytest

from gyoza_tui.cli.printing import run_words
from gyoza_tui.models.runs import ExecutionSummary, OpRun
from gyoza_tui.models.states import RunState


@pytest.mark.parametrize(
    ("outputs", "note"),
    [
        ({}, ""),
        ({"loss": 0.123456789, "n": 3}, "loss=0.123457, n=3"),
        ({f"output-{n}": n for n in range(330_000)}, ", ".join(f"output-{n}={n}" for n in range(16)) + ", …"),
    ],
)
def test_a_note_tells_of_outputs_until_it_is_long(outputs: dict[str, object], note: str) -> None:
    run = OpRun.model_construct(id="r", image="op", state=RunState.COMPLETED, outputs=outputs)
    assert run_words.note(run) == note


def test_a_note_tells_why_a_run_was_cancelled() -> None:
    why = ExecutionSummary(error_message="its parent 91ba was cancelled")
    run = OpRun.model_construct(id="r", image="op", state=RunState.CANCELLED, execution_summary=why)
    assert run_words.note(run) == "its parent 91ba was cancelled"
