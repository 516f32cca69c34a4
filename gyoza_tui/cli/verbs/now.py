"""`now`: a worker on this machine tries its server."""

from __future__ import annotations

from typing import Final

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

EXAMPLES: Final = examples("gyoza-tui now")


@with_connection
def now(flags: Connection, worker: options.WorkerHere = None) -> None:
    """Have a worker on this machine try its server now, instead of waiting for its next try."""
    from gyoza_tui.cli import local_workers
    from gyoza_tui.cli.printing import worker_words

    with local_workers.control_of(flags, worker) as control:
        control.try_now()
        worker_words.report(control, "trying its server now")
