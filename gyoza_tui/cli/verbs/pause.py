"""`pause`: a worker claims nothing until it is resumed."""

from __future__ import annotations

from typing import Final

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.cli.verbs.wanted_state import pause_at_server

EXAMPLES: Final = examples("gyoza-tui pause --worker gpu-01")


@with_connection
def pause(flags: Connection, *, worker: options.AtWorker, as_json: options.AsJson = False) -> None:
    """Have a worker claim nothing new. Its runs go on.

    It stays paused, also when it is started again, until it is resumed by `resume` or a key pressed there.
    """
    pause_at_server(flags, worker, as_json=as_json)
