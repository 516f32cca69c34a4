"""`drain`: a worker finishes its runs and exits."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import usage
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

EXAMPLES: Final = examples(
    "gyoza-tui drain --wait",
    "gyoza-tui drain --undo",
    "gyoza-tui drain --worker gpu-01",
    "gyoza-tui drain --worker gpu-01 --undo",
)


@with_connection
def drain(
    flags: Connection,
    worker: options.WorkerHere = None,
    at_server: options.AtServer = None,
    undo: Annotated[bool, typer.Option("--undo", help="Claim again instead; for a drain that is under way.")] = False,
    wait: options.UntilEnded = False,
    as_json: options.AsJson = False,
) -> None:
    """Have a worker claim nothing new, finish its runs, deliver their results and exit.

    With --worker its server is asked: then the worker, started again, is paused until it is resumed.
    """
    from gyoza_tui.cli.verbs.wanted_state import drain_at_server, undo_drain_at_server

    options.check_one_worker(worker, at_server, as_json=as_json)
    if wait and (undo or at_server is not None):
        raise usage("--wait is for a drain of a worker on this machine: leave it out")
    if at_server is not None:
        (undo_drain_at_server if undo else drain_at_server)(flags, at_server, as_json=as_json)
        return
    from gyoza_tui.cli import local_workers
    from gyoza_tui.cli.printing import worker_end, worker_words
    from gyoza_tui.worker.view.control import Ending

    with local_workers.control_of(flags, worker) as control:
        if undo:
            control.undo_drain()
            worker_words.report(control, "drain undone")
            return
        control.end(Ending.DRAIN)
        worker_words.report(control, "asked to drain")
        if wait:
            worker_end.wait(control, Ending.DRAIN)
