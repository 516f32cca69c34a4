"""`serve`: the gyoza server of a cluster, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import usage
from gyoza_tui.cli.flags import options

if TYPE_CHECKING:
    from gyoza_tui.own_server import OwnFiles

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
    metrics_port: options.MetricsPort = None,
    api_key_file: options.ApiKeyFile = None,
    env_file: options.EnvFile = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="Let every user of this machine in.")] = False,
) -> None:
    """Serve a gyoza cluster; beyond loopback a key must be set.

    Without one it makes a key, once, in `serve/key` of the state directory. While it runs, every command of this user
    finds that key by itself.
    """
    from gyoza_tui.cli.terminal import say
    from gyoza_tui.own_server import files_of_serve
    from gyoza_tui.server.errors import ServerError
    from gyoza_tui.server.launch import ServerOptions
    from gyoza_tui.server.launch import serve as serve_until_stopped
    from gyoza_tui.server.shared_state import DAY_S, Timings
    from gyoza_tui.settings import load

    outer = Connection(api_key_file=api_key_file, env_file=env_file).over(ctx.obj)
    flags = {"server_host": host, "server_port": port, "database": database, "metrics_port": metrics_port}
    settings = load(**flags, **outer.as_settings())
    for warning in settings.warnings:
        say(f"warning: {warning}")
    key = settings.key()
    if no_key and key:
        raise usage("--no-key, but a key is set: unset GYOZA_API_KEY and GYOZA_API_KEY_FILE, or leave out --no-key")
    own_files = None if no_key or key else files_of_serve(settings.state_dir)
    kept_in = settings.database or _default_database(settings.state_dir)
    try:
        serve_until_stopped(
            ServerOptions(
                host=settings.server_host,
                port=settings.server_port,
                database=kept_in,
                api_key=key,
                work_key=_key(settings.work_key_file),
                submit_key=_key(settings.submit_key_file),
                own_files=own_files,
                metrics_port=settings.metrics_port,
                metrics_ready=lambda url: say(f"metrics at {url}"),
                log_level=settings.server_log_level,
                timings=Timings(secret_env_s=settings.secret_env_days * DAY_S, passed_over_s=settings.passed_over_s),
                ready=lambda url: say(_welcome(url, own_files)),
            )
        )
    except ServerError as error:
        raise usage(str(error)) from None
    say(f"gyoza server stopped; all it knows is in {kept_in}")


def _welcome(url: str, own_files: OwnFiles | None) -> str:
    where = f"gyoza server at {url}, its API at {url}/docs"
    return where if own_files is None else f"{where}; its key, which your commands find, is in {own_files.key}"


def _key(file: Path | None) -> str | None:
    from gyoza_tui.key_files import read_key_file

    return None if file is None else read_key_file(file)


def _default_database(state_dir: Path) -> str:
    return str(state_dir / "server.db")
