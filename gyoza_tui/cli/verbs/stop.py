"""`stop`: a worker on this machine ends."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import usage
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

EXAMPLES: Final = examples("gyoza-tui stop", "gyoza-tui stop --detach --wait", "gyoza-tui stop lab-gpu-01 --release")


@with_connection
def stop(
    flags: Connection,
    worker: options.WorkerHere = None,
    release: Annotated[bool, typer.Option("--release", help="Stop its runs and give them back.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Exit now; its runs go on until the next start.")] = False,
    wait: options.UntilEnded = False,
) -> None:
    """End a worker on this machine.

    Without a flag as a first SIGTERM does: it finishes its runs and exits, or leaves them to its next start at once
    where GYOZA_ON_SIGTERM is `detach`.
    """
    from gyoza_tui.cli import local_workers
    from gyoza_tui.cli.printing import worker_end, worker_words
    from gyoza_tui.worker.view.control import Ending

    if release and detach:
        raise usage("--release and --detach are two ends: leave one out")
    with local_workers.control_of(flags, worker) as control:
        if release or detach:
            ending = Ending.RELEASE if release else Ending.DETACH
            control.end(ending)
        else:
            ending = control.stop()
        worker_words.report(control, f"asked to {ending}")
        if wait:
            worker_end.wait(control, ending)
