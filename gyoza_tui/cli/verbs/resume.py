"""`resume`: a worker claims runs again."""

from __future__ import annotations

from typing import Final

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

EXAMPLES: Final = examples("gyoza-tui resume", "gyoza-tui resume --worker gpu-01")


@with_connection
def resume(
    flags: Connection,
    worker: options.WorkerHere = None,
    at_server: options.AtServer = None,
    as_json: options.AsJson = False,
) -> None:
    """Have a worker claim runs again that was paused. On this machine a drain is ended by `drain --undo`.

    With --worker its server is asked, also for one that was drained and is to be started again.
    """
    from gyoza_tui.cli.verbs.wanted_state import resume_at_server

    options.check_one_worker(worker, at_server, as_json=as_json)
    if at_server is not None:
        resume_at_server(flags, at_server, as_json=as_json)
        return
    from gyoza_tui.cli import local_workers
    from gyoza_tui.cli.printing import worker_words

    with local_workers.control_of(flags, worker) as control:
        control.resume()
        worker_words.report(control, "resumed")
