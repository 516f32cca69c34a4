"""`drain`: a worker finishes its runs and exits."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.cli.verbs.wanted_state import drain_at_server, undo_drain_at_server

EXAMPLES: Final = examples("gyoza-tui drain --worker gpu-01", "gyoza-tui drain --worker gpu-01 --undo")


@with_connection
def drain(
    flags: Connection,
    *,
    worker: options.AtWorker,
    undo: Annotated[bool, typer.Option("--undo", help="Claim again instead; for a drain that is under way.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Have a worker claim nothing new, finish its runs and exit.

    Started again it is paused, until it is resumed.
    """
    (undo_drain_at_server if undo else drain_at_server)(flags, worker, as_json=as_json)
