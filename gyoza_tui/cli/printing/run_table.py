"""Runs as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from gyoza_tui.cli.connection import short_ids
from gyoza_tui.cli.printing import run_words
from gyoza_tui.cli.terminal import Row, Times, table_lines

if TYPE_CHECKING:
    from gyoza_tui.models.runs import OpRun

ELASTIC: Final = frozenset({"OP", "WORKER", "NOTE"})
EXPENDABLE: Final = ("TRY", "DONE", "WORKER", "TIME", "AGE", "CREATED")
"""Left out on a narrow terminal, in this order."""


def run_lines(
    listed: list[OpRun],
    times: Times,
    known: list[OpRun] | None = None,
    to: TextIO | None = None,
    widths_before: dict[str, int] | None = None,
) -> list[str]:
    """A table of runs for `to`, by default stdout; ids as short as unique among those `known`."""
    short = short_ids([run.id for run in known or listed])
    created = "CREATED" if times.utc else "AGE"
    headings = ["STATE", "RUN", "TRY", "OP", "DONE", "TIME", created, "WORKER", "NOTE"]
    rows = [_row(run, short[run.id], times) for run in listed]
    return table_lines(headings, rows, ELASTIC, EXPENDABLE, to, widths_before)


class GrowingTable:
    """The same table printed bit by bit: the headings once, then rows."""

    def __init__(self) -> None:
        self._widths: dict[str, int] = {}

    def more_lines(self, runs: list[OpRun], known: list[OpRun]) -> list[str]:
        """Created when, not how long ago: an age is soon wrong in what stays on the screen."""
        begun = bool(self._widths)
        lines = run_lines(runs, Times(utc=True), known, widths_before=self._widths) if runs else []
        return lines[1:] if begun else lines


def _row(run: OpRun, short: str, times: Times) -> Row:
    return [
        (run.state_word, run_words.STYLES[run.state]),
        (short, ""),
        (str(run.current_attempt), "dim"),
        (run.op_name, ""),
        (f"{run.progress:.0f}%", "dim"),
        (run_words.run_time(run), ""),
        (times.told(run.created_at), "dim"),
        (run.worker_id or "-", ""),
        (run_words.note(run), ""),
    ]
