"""Execution context for the pipeline."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gyoza_tui.worker.execution_pipeline.services import Services


@dataclass
class ExecutionContext:
    """Mutable context shared across all pipeline steps: a run's metadata and the state of its execution.

    The ten fields are the reference's, in its order.
    """

    oprun_id: str = ""
    image: str = ""
    constraints: dict[str, Any] = field(default_factory=dict)
    """ram_mb, vram_mb, cpu, gpu_id."""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    """Filled in only after success."""
    env_vars: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    """Host path → container path."""
    logs: str = ""
    """Up to 16 MiB of the output, a cut is marked; `extras["log_path"]` names the whole."""
    exit_code: int | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    """Whatever steps tell each other; `gyoza_dir` is the attempt's directory."""
    _: KW_ONLY
    services: Services | None = field(default=None, repr=False, compare=False)
    """How steps reach backend, journal, spool and cancel; None: made from the settings, as a plain script needs it."""
