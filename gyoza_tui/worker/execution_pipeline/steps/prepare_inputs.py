"""Prepare inputs step - makes the run's directory and writes its inputs."""

from __future__ import annotations

from gyoza_tui.worker.execution_pipeline.op_files import input_files, path_variables
from gyoza_tui.worker.execution_pipeline.services import services_of
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext


class PrepareInputs:
    """Prepare the inputs for the container execution.

    Makes the attempt's own directory, saves the inputs there as a pickle and as JSON, and sets GYOZA_INPUT_PATH,
    GYOZA_OUTPUT_PATH and their JSON twins; GYOZA_SOCKET where the op may create runs. Writing the inputs again after a
    restart would be harmless, but is left out once the op may be running: it may have written there itself.
    """

    def __call__(self, ctx: ExecutionContext) -> ExecutionContext:
        services = services_of(ctx)
        services.check_intent()
        row = services.record.row
        directory = services.place.make_run_dir(row.name)
        if not row.start_asked:
            for name, data in input_files(ctx.inputs).items():
                (directory / name).write_bytes(data)
        ctx.extras["gyoza_dir"] = str(directory)
        op_dir = services.backend.op_dir(directory)
        ctx.env_vars |= path_variables(op_dir)
        ctx.env_vars |= {"GYOZA_RUN_ID": row.run_id, "GYOZA_ATTEMPT": str(row.attempt)}
        if (channel := services.channel) is not None:
            services.listen = lambda: channel.open(services.record.row, directory, op_dir, services.backend)
            ctx.env_vars |= services.listen()
        return ctx
