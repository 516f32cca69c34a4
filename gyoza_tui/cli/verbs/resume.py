"""`resume`: a worker claims runs again."""

from __future__ import annotations

from typing import Final

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.cli.verbs.wanted_state import resume_at_server

EXAMPLES: Final = examples("gyoza-tui resume --worker gpu-01")


@with_connection
def resume(flags: Connection, *, worker: options.AtWorker, as_json: options.AsJson = False) -> None:
    """Have a worker claim runs again that was paused, or that was drained and is to be started again."""
    resume_at_server(flags, worker, as_json=as_json)
