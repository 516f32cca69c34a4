"""The word for what an attempt is at."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza_tui.backends.base import Exit
from gyoza_tui.models.filters import parse
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.view.run_views import view_of
from gyoza_tui.worker.view.snapshot import Phase, RunView, Waits

_ENDED = Exit(code=0)


def _view(**changes: Any) -> RunView:
    run = OpRun(id="r1", image="job:1", attempt=1)
    row = RunRow(key=1, server_id="", run=run, name="gyoza-r1-1-none", backend="docker", claimed_at=0.0)
    return view_of(row.with_(**changes))


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({}, Phase.QUEUED),
        ({"step": "prepare_inputs"}, Phase.QUEUED),
        ({"step": "pull_latest_image"}, Phase.PULLING),
        ({"step": "start_oprun"}, Phase.STARTING),
        ({"step": "run_container"}, Phase.STARTING),
        ({"step": "run_container", "start_asked": True}, Phase.STARTING),
        ({"step": "run_container", "started_at": 5.0}, Phase.RUNNING),
        ({"step": "run_container", "started_at": 5.0, "frozen_since": 6.0}, Phase.FROZEN),
        ({"step": "run_container", "started_at": 5.0, "waiting_since": 6.0}, Phase.WAITING),
        ({"step": "run_container", "started_at": 5.0, "waiting_since": 6.0, "frozen_since": 6.0}, Phase.FROZEN),
        ({"step": "run_container", "started_at": 5.0, "waiting_since": 6.0, "exit": _ENDED}, Phase.COLLECTING),
        ({"step": "run_container", "started_at": 5.0, "frozen_since": 6.0, "exit": _ENDED}, Phase.COLLECTING),
        ({"step": "run_container", "started_at": 5.0, "exit": _ENDED}, Phase.COLLECTING),
        ({"step": "complete_oprun"}, Phase.COLLECTING),
        ({"step": "cleanup_op_dir", "outcome": Outcome.COMPLETED}, Phase.TO_DELIVER),
        ({"step": "cleanup_op_dir", "outcome": Outcome.COMPLETED, "acked": True}, Phase.COMPLETED),
        ({"outcome": Outcome.FAILED, "acked": True}, Phase.FAILED),
        ({"outcome": Outcome.CANCELLED, "acked": True}, Phase.CANCELLED),
        ({"outcome": Outcome.RELEASED, "acked": True}, Phase.RELEASED),
        ({"outcome": Outcome.LOST, "acked": True}, Phase.LOST),
    ],
)
def test_step_and_outcome_make_the_word(changes: dict[str, Any], phase: Phase) -> None:
    assert _view(**changes).phase is phase


def test_what_waits_for_a_slot_is_returning() -> None:
    waits = _view(step="run_container", started_at=5.0, waiting_since=6.0, waits_left=3, waits_of=8)
    assert waits.waits == Waits(3, 8, 6.0)
    assert waits._replace(returning=True).phase is Phase.RETURNING


@pytest.mark.parametrize("changes", [{"frozen_since": 6.0}, {"waiting_since": 6.0}])
def test_what_stands_still_is_found_among_what_runs(changes: dict[str, Any]) -> None:
    view = _view(step="run_container", started_at=5.0, **changes)
    for word in ("running", view.phase.lower()):
        assert parse(f"state:{word}").matches(view.facts("w1"), 0.0)


@pytest.mark.parametrize(
    ("intent", "phase"),
    [(Intent.CANCEL, Phase.CANCELLING), (Intent.RELEASE, Phase.RELEASING), (Intent.LOST, Phase.LOST)],
)
@pytest.mark.parametrize("step", ["", "pull_latest_image", "run_container", "mine"])
def test_an_intent_is_shown_at_once_whatever_the_step(step: str, intent: Intent, phase: Phase) -> None:
    assert _view(step=step, intent=intent).phase is phase


@pytest.mark.parametrize("intent", [Intent.CANCEL, Intent.RELEASE])
def test_what_has_ended_is_collected_in_spite_of_a_late_cancel(intent: Intent) -> None:
    assert _view(step="complete_oprun", exit=_ENDED, intent=intent).phase is Phase.COLLECTING


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({}, Phase.STARTING),
        ({"started_at": 5.0}, Phase.RUNNING),
        ({"started_at": 5.0, "exit": _ENDED}, Phase.COLLECTING),
    ],
)
def test_a_step_of_another_pipeline_goes_by_what_the_container_does(changes: dict[str, Any], phase: Phase) -> None:
    assert _view(step="upload_model", **changes).phase is phase
