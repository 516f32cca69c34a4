"""Finding the server, and a run by the beginning of its id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.failures import CliError, name, of_http, usage
from gyoza_tui.cli.terminal import say
from gyoza_tui.models import filters
from gyoza_tui.models.filters import Key
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.runs import OpRun
    from gyoza_tui.settings import Settings

PAGE = 200
TIMEOUT_S = 30.0
"""For one request."""
SHORT = 8
"""Characters of an id that are shown when they are unique."""
_CANDIDATES = 10
_AN_ID = "a run's id; `gyoza-tui runs` lists them"


@dataclass(frozen=True)
class Connected:
    client: GyozaClient
    settings: Settings


@contextmanager
def connected(flags: Connection) -> Iterator[Connected]:
    """A client of the server that the settings name, or of this machine's own; its errors become messages."""
    settings = loaded(flags)
    if host := settings.key_in_clear_to:
        say(f"warning: the key goes unencrypted to {visible(host)}: name the server by https://")
    with connected_by(settings) as at:
        yield at


@contextmanager
def connected_by(settings: Settings, timeout_s: float = TIMEOUT_S) -> Iterator[Connected]:
    """The same, with settings that are loaded already."""
    import httpx

    from gyoza_tui.server_access import client_of

    with client_of(settings, timeout_s) as client:
        try:
            yield Connected(client, settings)
        except httpx.HTTPError as error:
            raise of_http(error, visible(client.base_url)) from None


def loaded(flags: Connection) -> Settings:
    """The settings, with their warnings printed."""
    from gyoza_tui.settings import load

    settings = load(**flags.as_settings())
    for warning in settings.warnings:
        say(f"warning: {warning}")
    return settings


def all_runs(client: GyozaClient, wanted: str | None = None, most: int | None = None) -> Iterator[OpRun]:
    """Every run, newest first, page by page; only those that a filter wants, where the server knows filters.

    `most`: how many will be looked at, where that is known.
    """
    cursor = None
    while True:
        page = client.list_runs(limit=min(most or PAGE, PAGE), after=cursor, filter=wanted)
        yield from page.items
        if not page.cursor or page.cursor == cursor:
            return
        cursor = page.cursor


def find_run(client: GyozaClient, text: str) -> OpRun:
    """The run with that id, or the only one whose id begins so."""
    import httpx

    if not name(text, _AN_ID).strip(".") or "/" in text:
        raise usage(f"{text!a} is not {_AN_ID}")
    try:
        return client.get_run(text)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != 404:
            raise
    wanted = None if '"' in text else filters.term(Key.RUN, text)
    found = [run.id for run in all_runs(client, wanted) if run.id.startswith(text)]
    if not found:
        raise CliError(f"no run's id begins with {visible(text)}; `gyoza-tui runs` lists them")
    if len(found) > 1:
        more = f"\n  and {len(found) - _CANDIDATES} more" if len(found) > _CANDIDATES else ""
        listed = "\n".join(f"  {visible(run_id)}" for run_id in found[:_CANDIDATES])
        raise CliError(f"{len(found)} runs have ids that begin with {visible(text)}:\n{listed}{more}")
    return client.get_run(found[0])


def find_runs(client: GyozaClient, texts: list[str]) -> list[OpRun]:
    """The runs with these ids or beginnings, each once."""
    return list({run.id: run for run in (find_run(client, text) for text in texts)}.values())


def short_ids(ids: list[str]) -> dict[str, str]:
    """Each id's beginning, as short as unique among these and readable."""
    ordered = sorted(ids)
    short: dict[str, str] = {}
    for i, run_id in enumerate(ordered):
        neighbours = ordered[max(0, i - 1) : i] + ordered[i + 1 : i + 2]
        shared = max((_common(run_id, other) for other in neighbours), default=0)
        short[run_id] = run_id[: max(SHORT, shared + 1)]
    return short


def _common(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
