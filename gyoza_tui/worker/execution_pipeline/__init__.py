"""The execution pipeline: one op run from its inputs to its outputs.

>>> from gyoza_tui.worker.execution_pipeline import execution_pipeline, ExecutionContext
>>> ctx = ExecutionContext(oprun_id="run_abc123", image="product:latest", inputs={"param": "value"})
>>> result = execution_pipeline.run(ctx)
>>> print(result.exit_code)
"""

from __future__ import annotations

from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline
from gyoza_tui.worker.execution_pipeline.steps.pull_latest_image import pull_latest_image
from gyoza_tui.worker.execution_pipeline.steps.start_oprun import start_oprun
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.execution_pipeline.types.step import Step

execution_pipeline = Pipeline()
"""The default pipeline. It carries no state: threads share it."""

__all__ = ["ExecutionContext", "Pipeline", "Step", "execution_pipeline", "pull_latest_image", "start_oprun"]
