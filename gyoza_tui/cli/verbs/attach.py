"""`attach`: the screen of a worker that runs on this machine."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

EXAMPLES: Final = examples(
    "gyoza-tui attach",
    "gyoza-tui attach lab-gpu-01",
    "ssh -t gpu-box gyoza-tui attach",
)


@with_connection
def attach(
    flags: Connection,
    worker: options.WorkerHere = None,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="A screen of ASCII characters only.")] = False,
    no_mouse: Annotated[bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")] = False,
) -> None:
    """Open the screen of a worker that runs on this machine already.

    Leaving it leaves the worker as it is, as Ctrl-C does and a terminal that closes. Several can look at once.
    """
    from gyoza_tui.cli import local_workers, screen
    from gyoza_tui.cli.failures import usage
    from gyoza_tui.settings import load

    if why := screen.why_headless():
        raise usage(f"{why}: there can be no screen; `gyoza-tui status` prints how the worker is")
    shown: dict[str, Any] = {"ui_ascii": True if ascii_only else None, "ui_mouse": False if no_mouse else None}
    settings = load(**flags.as_settings(), **shown)
    control = local_workers.reached(settings, worker or flags.worker_id)
    ui = screen.options(settings, screen.to_submit(flags.as_settings(), demo=False))
    raise typer.Exit(screen.attach(control, ui))
