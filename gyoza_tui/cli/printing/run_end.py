"""How a run ended, as the verbs that wait for it tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gyoza_tui.cli.printing.run_words import run_time
from gyoza_tui.cli.terminal import brief, out
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.models.runs import OpRun

VALUE_MAX = 2000


def print_end(run: OpRun) -> None:
    """State, time and outputs."""
    out(f"{run.state.value} {run_time(run)}")
    for name, value in run.outputs.items():
        out(f"{visible(name)} = {visible(brief(value, VALUE_MAX))}")
