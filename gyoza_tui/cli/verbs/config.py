"""`config show`: every setting as it stands, and where that came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

if TYPE_CHECKING:
    from gyoza_tui.settings import Settings

config = typer.Typer(help="Look at the settings.", rich_markup_mode=None, add_completion=False)
EXAMPLES: Final = examples(
    "gyoza-tui config show",
    "gyoza-tui config show --json | jq '.[] | select(.from != \"default\")'",
)
DEFAULT: Final = "default"
_MASKED: Final = "**********"
"""As pydantic shows a secret."""


@config.callback(invoke_without_command=True)
def _config(ctx: typer.Context) -> None:
    from gyoza_tui.cli.failures import usage

    if ctx.invoked_subcommand is None:
        raise usage("what of the settings? `gyoza-tui config show` lists them")
    ctx.obj = ctx.parent.obj if ctx.parent else None


class Value(NamedTuple):
    setting: str
    """The variable by which it is set."""
    value: Any
    """As JSON has it; secrets masked."""
    source: str


@config.command(epilog=EXAMPLES)
@with_connection
def show(flags: Connection, as_json: options.AsJson = False) -> None:
    """Print each setting, its value, and where that came from; no secret is shown."""
    from gyoza_tui.cli import connection, terminal

    found = values(connection.loaded(flags), flags)
    if as_json:
        terminal.out_json([{"setting": each.setting, "value": each.value, "from": each.source} for each in found])
        return
    rows = [
        [
            (each.setting, ""),
            (_written(each.value) or "-", ""),
            (each.source, "dim" if each.source == DEFAULT else "green"),
        ]
        for each in found
    ]
    terminal.table(["SETTING", "VALUE", "FROM"], rows, elastic=["VALUE", "FROM"])


def values(settings: Settings, flags: Connection) -> list[Value]:
    """In the order of the README's table."""
    from gyoza_tui.settings import PREFIX

    dumped, sources = settings.model_dump(mode="json"), _sources(flags)
    found = {
        name: Value(
            PREFIX + name.upper(),
            dumped[name],
            next((source for source, names in sources.items() if name in names), DEFAULT),
        )
        for name in type(settings).model_fields
    }
    return list((found | _of_own_server(settings, found)).values())


def _of_own_server(settings: Settings, found: dict[str, Value]) -> dict[str, Value]:
    """What a client takes from a server of this user that lives."""
    from gyoza_tui.server_access import server_of

    meant = server_of(settings)
    if meant.own is None:
        return {}
    key = found["api_key"]._replace(value=_MASKED, source=str(meant.own.key_file))
    url = found["server_url"]
    if meant.by_worker:
        url = url._replace(value=meant.url, source=str(meant.own.announced_in))
    return {"server_url": url, "api_key": key}


def _sources(flags: Connection) -> dict[str, set[str]]:
    """What each source sets; an earlier one wins."""
    from pydantic_settings import EnvSettingsSource, InitSettingsSource

    from gyoza_tui import env_files
    from gyoza_tui.settings import OF_ENV_FILE, Settings, config_file

    env_file = env_files.named(flags.env_file)
    given = {name: value for name, value in flags.as_settings().items() if value is not None and name != "env_file"}
    given[OF_ENV_FILE] = env_files.variables(env_file)
    init, environment = InitSettingsSource(Settings, given), EnvSettingsSource(Settings)
    # in the order in which the settings are read themselves
    ordered = Settings.settings_customise_sources(Settings, init, environment, environment, environment)
    names = ("flag", "environment", str(env_file), str(config_file()))
    return {name: set(source()) for name, source in zip(names, ordered, strict=True)}


def _written(value: Any) -> str:
    """As one writes it in the environment; empty for nothing."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ",".join(map(str, value))
        case dict():
            return ";".join(f"{name}={each}" for name, each in value.items())
        case _:
            return "" if value is None else str(value)
