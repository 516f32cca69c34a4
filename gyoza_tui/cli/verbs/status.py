"""`status`: how a worker on this machine is, at a glance."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

EXAMPLES: Final = examples(
    "gyoza-tui status",
    "gyoza-tui status lab-gpu-01 --watch",
    "gyoza-tui status --json | jq -r '.runs[].id'",
)


@with_connection
def status(
    flags: Connection,
    worker: options.WorkerHere = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on and show what changes, until Ctrl-C.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Print how a worker on this machine is: whether it takes runs, and if not, why; what it runs.

    Exit codes: 0 it takes runs that fit, now or once a slot is free; 1 it takes none, for it is paused or drains, a
    disk is full, its server or every engine is out of reach, or it does not answer; 2 no worker runs here.
    """
    from gyoza_tui.cli import local_workers, terminal
    from gyoza_tui.cli.failures import ExitCode
    from gyoza_tui.cli.printing import worker_words

    with local_workers.control_of(flags, worker) as control:
        if watch:
            from gyoza_tui.cli.printing import worker_watching

            worker_watching.watch(control, as_json=as_json)
        if as_json:
            terminal.out_json(worker_words.as_json(control))
        else:
            for line in worker_words.lines(control):
                terminal.out(line)
        if not worker_words.takes_runs(control):
            raise typer.Exit(ExitCode.FAILED)
