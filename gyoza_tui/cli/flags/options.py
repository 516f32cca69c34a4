"""The flags that several verbs share, each once. All are text: `gyoza_tui.settings` judges them, all faults at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, Concatenate, Final

import typer

from gyoza_tui.cli.completion.candidates import complete_run, complete_worker, complete_worker_here
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.failures import usage

Server = Annotated[str | None, typer.Option(metavar="URL", help="The gyoza server.", show_default=False)]
WorkerId = Annotated[str | None, typer.Option(metavar="ID", help="The worker's name.", show_default=False)]
StateDir = Annotated[str | None, typer.Option(metavar="D", help="Where journal and logs live.", show_default=False)]
ApiKeyFile = Annotated[str | None, typer.Option(metavar="F", help="A file with the API key.", show_default=False)]
EnvFile = Annotated[str | None, typer.Option(metavar="F", help="A file of settings.", show_default=False)]
MetricsPort = Annotated[
    str | None,
    typer.Option(metavar="[ADDRESS:]PORT", help="Where metrics are, as Prometheus reads them.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Utc = Annotated[bool, typer.Option("--utc", help="Exact times, in UTC.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
AtServer = Annotated[
    str | None,
    typer.Option(
        "--worker",
        metavar="W",
        help="A worker, by way of its server.",
        show_default=False,
        autocompletion=complete_worker,
    ),
]
InputsFile = Annotated[str | None, typer.Option(metavar="F.json", help="A JSON object of inputs; - is stdin.")]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's id, or its beginning.", show_default=False, autocompletion=complete_run
    ),
]

WorkerHere = Annotated[
    str | None,
    typer.Argument(
        metavar="WORKER",
        help="Its name; without one, the only worker that runs here.",
        show_default=False,
        autocompletion=complete_worker_here,
    ),
]
UntilEnded = Annotated[bool, typer.Option("--wait", help="Until the worker has ended.")]

_FLAGS: Final = {
    "server": Server,
    "api_key_file": ApiKeyFile,
    "state_dir": StateDir,
    "worker_id": WorkerId,
    "env_file": EnvFile,
}
"""Of a connection, in the order of `--help`, where they stand behind a verb's own."""
_CONTEXT: Final = "ctx"


def with_connection(verb: Callable[Concatenate[Connection, ...], None]) -> Callable[..., None]:
    """The verb as typer takes it: the flags of its connection, laid over those before its name, become one value.

    A verb that wants typer's context has it as `ctx`.
    """
    _, *own = signature(verb, eval_str=True).parameters.values()
    wants_context = any(each.name == _CONTEXT for each in own)

    @wraps(verb)
    def called(ctx: typer.Context, **typed: Any) -> None:
        connection = Connection(**{name: typed.pop(name) for name in _FLAGS})
        verb(connection.over(ctx.obj), **typed, **({_CONTEXT: ctx} if wants_context else {}))

    context = [] if wants_context else [_keyword(_CONTEXT, typer.Context)]
    flags = [_keyword(name, annotation, default=None) for name, annotation in _FLAGS.items()]
    parameters = [*context, *(each.replace(kind=Parameter.KEYWORD_ONLY) for each in own), *flags]
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    called.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return called


def check_one_worker(here: str | None, at_server: str | None, *, as_json: bool) -> None:
    """CliError for a verb that names a worker here and one at the server, or wants JSON of one here."""
    if here is not None and at_server is not None:
        raise usage(f"{here} is a worker here, --worker {at_server} one at the server: leave one out")
    if as_json and at_server is None:
        raise usage("--json goes with --worker; `gyoza-tui status --json` prints a worker of this machine")


def _keyword(name: str, annotation: Any, default: Any = Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
