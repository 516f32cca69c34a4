"""`serve`: the gyoza server of a cluster, in this process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Final

import typer

from gyoza_tui.cli import options
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import usage
from gyoza_tui.cli.options import Connection

EXAMPLES: Final = examples(
    "gyoza-tui serve",
    "gyoza-tui serve --host 0.0.0.0 --api-key-file ~/.gyoza-key",
    "gyoza-tui serve --port 0 --database try.db",
)


def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="The address to listen at.")] = None,
    port: Annotated[str | None, typer.Option(metavar="PORT", help="0 takes a free one.")] = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="sqlite:///path")] = None,
    api_key_file: options.ApiKeyFile = None,
) -> None:
    """Serve a gyoza cluster; beyond loopback a key is required."""
    from gyoza_tui.cli.terminal import say
    from gyoza_tui.server.errors import ServerError
    from gyoza_tui.server.launch import ServerOptions
    from gyoza_tui.server.launch import serve as serve_until_stopped
    from gyoza_tui.settings import load, unknown_in_environment

    outer = Connection(None, None, None, api_key_file).over(ctx.obj)
    flags = {"server_host": host, "server_port": port, "database": database}
    settings = load(**flags, api_key_file=outer.api_key_file, state_dir=outer.state_dir)
    for warning in unknown_in_environment():
        say(f"warning: {warning}")
    logging.basicConfig(level=logging.WARNING)
    kept_in = settings.database or _default_database(settings.state_dir)
    try:
        serve_until_stopped(
            ServerOptions(
                host=settings.server_host,
                port=settings.server_port,
                database=kept_in,
                api_key=settings.key(),
                ready=lambda url: say(f"gyoza server at {url}, its API at {url}/docs"),
            )
        )
    except ServerError as error:
        raise usage(str(error)) from None
    say(f"gyoza server stopped; all it knows is in {kept_in}")


def _default_database(state_dir: Path) -> str:
    return str(state_dir / "server.db")
