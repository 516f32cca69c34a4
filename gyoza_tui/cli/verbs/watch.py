"""`watch`: wait for the ends of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza_tui.cli.completion.candidates import complete_open_run
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

if TYPE_CHECKING:
    from gyoza_tui.models.runs import OpRun

EXAMPLES: Final = examples(
    "gyoza-tui watch a1b2",
    "gyoza-tui watch a1b2 --json | jq .outputs",
    "gyoza-tui watch $(gyoza-tui runs state:running op:train --json | jq -r '.[].id')",
)
Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Ids of runs, or their beginnings.",
        show_default=False,
        autocompletion=complete_open_run,
    ),
]


@with_connection
def watch(flags: Connection, runs: Runs, as_json: options.AsJson = False) -> None:
    """Wait for runs to end, and print each.

    The terminal's bell rings at each end. Exits 1 unless all are COMPLETED, and prints why.
    """
    from gyoza_tui.cli import connection, terminal
    from gyoza_tui.cli.printing import run_words
    from gyoza_tui.cli.printing.run_end import check_ends, end_line
    from gyoza_tui.cli.printing.waiting import wait_for

    with connection.connected(flags) as at:
        found = connection.find_runs(at.client, runs)
        going = {run.id for run in found if not run.state.terminal}

        def each(run: OpRun) -> None:
            terminal.out(terminal.json_line(run_words.as_json(run)) if as_json else end_line(run))
            if run.id in going:
                terminal.ring()

        ended = wait_for(at.client, found, each)
    check_ends(ended)
