"""Which runs a verb is about: terms of the filter grammar as arguments, and flags that are shorthands for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza_tui.cli.completion.candidates import complete_definition, complete_run, complete_state, complete_worker
from gyoza_tui.cli.completion.compound_words import complete_term
from gyoza_tui.cli.failures import usage
from gyoza_tui.models import filters
from gyoza_tui.models.filters import FilterError, Key, RunFacts
from gyoza_tui.models.limits import FILTER_MAX
from gyoza_tui.models.states import RunState
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.runs import OpRun

SERVER_STATES = tuple(word for state in RunState for word in filters.words_of(state))
"""What a server's run can be in; `state:` takes the words of a worker's screen too."""

Terms = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILTER",
        help="As state:failed op:train since:1h text; one that begins with - behind --.",
        show_default=False,
        autocompletion=complete_term,
    ),
]
State = Annotated[
    str | None,
    typer.Option(metavar="S,S", help="As state:S,S", show_default=False, autocompletion=complete_state),
]
Definition = Annotated[
    str | None, typer.Option(metavar="OP", help="As op:=OP", show_default=False, autocompletion=complete_definition)
]
Worker = Annotated[
    str | None, typer.Option(metavar="W", help="As worker:=W", show_default=False, autocompletion=complete_worker)
]
Topic = Annotated[str | None, typer.Option(metavar="T", help="As topic:=T", show_default=False)]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="As since:TIME: 30m, 1h, 2d, 2026-11-20.", show_default=False),
]
Parent = Annotated[
    str | None,
    typer.Option(metavar="RUN", help="As parent:RUN", show_default=False, autocompletion=complete_run),
]
Failed = Annotated[bool, typer.Option("--failed", help="As state:failed.")]


@dataclass(frozen=True)
class Flags:
    """The shorthands that were given, by the filter's keys."""

    state: str | None = None
    op: str | None = None
    worker: str | None = None
    topic: str | None = None
    since: str | None = None
    parent: str | None = None

    def terms(self) -> Iterator[str]:
        for each in fields(self):
            if (value := getattr(self, each.name)) is not None:
                key = Key(each.name)
                whole = key in filters.NAMED and key is not Key.PARENT
                yield filters.term(key, *value.split(","), whole=whole)


@dataclass(frozen=True)
class Wanted:
    """The text of a filter that is understood."""

    text: str

    def runs(self, client: GyozaClient, most: int | None = None) -> Iterator[OpRun]:
        """The runs that match, newest first. What the server does not filter is filtered here, page by page."""
        from gyoza_tui.cli import connection

        now = time.time()
        text = filters.resolved(self.text, now)
        terms = filters.parse(text)
        found = connection.all_runs(client, text or None, most)
        return islice((run for run in found if terms.matches(_facts(run), now)), most)


def wanted(arguments: list[str], flags: Flags, *, failed: bool = False) -> Wanted:
    """The filter of all that was given. Wrong usage is told with what is allowed."""
    text = " ".join([*arguments, *flags.terms(), *(["state:failed"] if failed else [])])
    _refuse_long(text)
    try:
        text.encode()
        terms = filters.parse(text)
        _refuse_long(filters.resolved(text, time.time()))
    except UnicodeError:
        raise usage(f"{text[:80]!a} holds what is no text") from None
    except FilterError as error:
        raise usage(str(error)) from None
    for term in terms.terms:
        strange = [value for value in term.values if value not in SERVER_STATES]
        if term.key is Key.STATE and strange:
            raise usage(
                f"state:{visible(strange[0])} is a word of a worker's screen; a server's runs are "
                f"{', '.join(SERVER_STATES)}"
            )
    return Wanted(text)


def _refuse_long(text: str) -> None:
    if len(text) > FILTER_MAX:
        raise usage(f"a filter of {len(text)} characters: at most {FILTER_MAX}")


def _facts(run: OpRun) -> RunFacts:
    return filters.server_facts(
        run.id,
        run.server_state,
        image=run.image,
        definition=run.op_definition,
        version=run.op_version,
        worker=run.worker_id,
        topic=run.event_delivery.topic,
        parent=run.parent_id,
        error=run.execution_summary.error_message,
        updated_at=run.updated_at.timestamp() if run.updated_at else None,
    )
