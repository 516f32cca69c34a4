"""The steps of the default pipeline, each in a module of its name."""

from __future__ import annotations

from gyoza_tui.worker.execution_pipeline.types.step import Step


def default_steps() -> list[Step]:
    """The steps in their order."""
    from gyoza_tui.worker.execution_pipeline.steps.cleanup_op_dir import cleanup_op_dir
    from gyoza_tui.worker.execution_pipeline.steps.complete_oprun import complete_oprun
    from gyoza_tui.worker.execution_pipeline.steps.prepare_inputs import PrepareInputs
    from gyoza_tui.worker.execution_pipeline.steps.pull_latest_image import pull_latest_image
    from gyoza_tui.worker.execution_pipeline.steps.run_container import RunContainer
    from gyoza_tui.worker.execution_pipeline.steps.start_oprun import start_oprun

    return [PrepareInputs(), pull_latest_image, start_oprun, RunContainer(), complete_oprun, cleanup_op_dir]
