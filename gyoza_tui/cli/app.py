"""The command line of `gyoza-tui`: the flags of the worker itself, and of every verb."""

from __future__ import annotations

import gc
from typing import Annotated, Any

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import usage
from gyoza_tui.cli.flags import bounds, options
from gyoza_tui.cli.flags.bound_flags import BoundFlags
from gyoza_tui.cli.verb_table import VerbGroup

app = typer.Typer(
    name="gyoza-tui",
    cls=VerbGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        from gyoza_tui import __version__

        print(f"gyoza-tui {__version__}")
        raise typer.Exit


EXAMPLES = examples(
    "gyoza-tui --local --demo",
    "gyoza-tui --server http://gpu-box:5555 --api-key-file ~/.gyoza-key",
    "gyoza-tui --no-ui --until-empty --max-seconds 3600",
    "gyoza-tui --no-ui --duties deliver --until-empty",
)


@app.callback(invoke_without_command=True, epilog=EXAMPLES)
def worker(
    ctx: typer.Context,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="One line per event instead of the terminal app.")] = False,
    server: options.Server = None,
    worker_id: options.WorkerId = None,
    state_dir: options.StateDir = None,
    max_runs: Annotated[str | None, typer.Option(metavar="N", help="Runs at the same time.")] = None,
    tags: Annotated[str | None, typer.Option(metavar="a,b", help="Tags of this worker.")] = None,
    ops_file: Annotated[str | None, typer.Option(metavar="F", help="Commands that runs may name.")] = None,
    log_format: Annotated[str | None, typer.Option(metavar="text|json", help="How --no-ui prints.")] = None,
    metrics_port: options.MetricsPort = None,
    api_key_file: options.ApiKeyFile = None,
    env_file: options.EnvFile = None,
    new_journal: Annotated[bool, typer.Option("--new-journal", help="Set a damaged journal aside.")] = False,
    local: Annotated[bool, typer.Option("--local", help="With a server of its own on this machine.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="With four demo ops; goes with --local.")] = False,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="A screen of ASCII characters only.")] = False,
    no_mouse: Annotated[bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")] = False,
    max_seconds: bounds.MaxSeconds = None,
    until_empty: bounds.UntilEmpty = False,
    run: bounds.OneRun = None,
    ticks: bounds.Ticks = None,
    duties: bounds.Duties = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A worker of a gyoza cluster: claims runs, runs them, reports them. Without a verb: this machine's worker.

    Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 server not reachable, 130 interrupted. Where its
    reader has had enough, as `head`, a verb that only tells something ends with 0.
    """
    connection = Connection(server, worker_id, state_dir, api_key_file, env_file)
    own = {"max_runs": max_runs, "tags": tags, "ops_file": ops_file, "log_format": log_format}
    own["metrics_port"] = metrics_port
    look = {"ascii": ascii_only, "no_mouse": no_mouse}
    bounding = BoundFlags(max_seconds, until_empty, run, ticks, duties)
    switches = {"no_ui": no_ui, "new_journal": new_journal, "local": local, "demo": demo}
    if ctx.invoked_subcommand is not None:
        gc.enable()
        _refuse(own | switches | look | bounding._asdict(), ctx.invoked_subcommand)
        ctx.obj = connection
        return
    from gyoza_tui.cli.worker import Mode, serve_as_worker

    on_screen = {"ui_ascii": True if ascii_only else None, "ui_mouse": False if no_mouse else None}
    serve_as_worker(connection.as_settings() | own | on_screen, Mode(**switches, bounds=bounding))


def _refuse(worker_flags: dict[str, Any], verb: str) -> None:
    for name, value in worker_flags.items():
        if value:
            raise usage(f"--{name.replace('_', '-')} is for the worker, not for `{verb}`: leave it out")
