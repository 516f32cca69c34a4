"""What a person calls the op of a run."""

from __future__ import annotations

from gyoza_tui.worker.snapshot import RunRow


def op_name(row: RunRow) -> str:
    """Definition and version, else the image. From outside: never shown as it is."""
    run = row.run
    if run.op_definition is None:
        return run.image
    return f"{run.op_definition}@{run.op_version}" if run.op_version else run.op_definition
