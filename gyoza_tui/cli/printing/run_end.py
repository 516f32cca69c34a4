"""How runs ended, as the verbs that wait for them print it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gyoza_tui.cli.failures import CliError
from gyoza_tui.cli.printing.run_words import failure, run_time
from gyoza_tui.cli.terminal import brief, out
from gyoza_tui.models.states import RunState
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.models.runs import OpRun

VALUE_MAX: Final = 2000
_FAILURES_PRINTED: Final = 10
_TAIL_PRINTED: Final = 20
"""Lines of a failed op's output."""


def print_end(run: OpRun) -> None:
    """State, time and outputs."""
    out(f"{run.state.value} {run_time(run)}")
    for name, value in run.outputs.items():
        out(f"{visible(name)} = {visible(brief(value, VALUE_MAX))}")


def end_line(run: OpRun) -> str:
    """The same of one run among several."""
    return f"{visible(run.id)} {run.state.value} {run_time(run)} {visible(run.op_name)}"


def check_ends(runs: list[OpRun]) -> None:
    """Raises CliError (exit 1), with why, unless all are COMPLETED."""
    bad = [run for run in runs if run.state is not RunState.COMPLETED]
    if bad:
        words = [line for run in bad[:_FAILURES_PRINTED] for line in _fault(run)]
        more = [f"and {len(bad) - _FAILURES_PRINTED} more"] if len(bad) > _FAILURES_PRINTED else []
        raise CliError("\n".join(words + more))


def _fault(run: OpRun) -> list[str]:
    fault = failure(run.events)
    words = [f"{run.id} is {run.state.value}" + (f": {fault.words}" if fault else "")]
    return words + ([f"  | {line}" for line in fault.log_tail.splitlines()[-_TAIL_PRINTED:]] if fault else [])
