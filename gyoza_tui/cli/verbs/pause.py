"""`pause`: a worker claims nothing until it is resumed."""

from __future__ import annotations

from typing import Final

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

EXAMPLES: Final = examples("gyoza-tui pause", "gyoza-tui pause lab-gpu-01", "gyoza-tui pause --worker gpu-01")


@with_connection
def pause(
    flags: Connection,
    worker: options.WorkerHere = None,
    at_server: options.AtServer = None,
    as_json: options.AsJson = False,
) -> None:
    """Have a worker claim nothing new. Its runs go on.

    A worker of this machine is asked itself, until it is resumed or started again. With --worker its server is asked:
    then it stays paused, also when it is started again, until it is resumed by `resume` or a key pressed there.
    """
    from gyoza_tui.cli.verbs.wanted_state import pause_at_server

    options.check_one_worker(worker, at_server, as_json=as_json)
    if at_server is not None:
        pause_at_server(flags, at_server, as_json=as_json)
        return
    from gyoza_tui.cli import local_workers
    from gyoza_tui.cli.printing import worker_words

    with local_workers.control_of(flags, worker) as control:
        control.pause()
        worker_words.report(control, "paused")
