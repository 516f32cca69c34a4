"""What the steps of an attempt are called."""

from __future__ import annotations

from gyoza_tui.models.steps import StepName, step_word
from gyoza_tui.worker.execution_pipeline.steps import default_steps
from gyoza_tui.worker.execution_pipeline.types.step import step_name


def test_the_names_are_those_of_our_pipeline_and_each_has_a_word() -> None:
    assert [step_name(step) for step in default_steps()] == list(StepName)
    words = [step_word(name) for name in StepName]
    assert words == ["inputs", "image", "start", "container", "complete", "cleanup"]


def test_a_step_of_another_pipeline_keeps_its_name() -> None:
    assert step_word("warm_up_gpu") == "warm up gpu"
