"""`hold`, `unhold`, `release`: keeping runs from workers, and taking them from theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gyoza_tui.cli import asker
from gyoza_tui.cli.completion.compound_words import complete_open_run_or_term
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options, run_filters
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.cli.flags.run_filters import Flags
from gyoza_tui.cli.verbs.many_runs import Chosen, RunAction, carry_out
from gyoza_tui.models.states import OWNED, RunState
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.models.runs import OpRun

HOLD_EXAMPLES: Final = examples(
    "gyoza-tui hold a1b2",
    "gyoza-tui hold state:pending op:train",
    "gyoza-tui runs state:held",
)
UNHOLD_EXAMPLES: Final = examples(
    "gyoza-tui unhold a1b2",
    "gyoza-tui unhold state:held --yes",
)
RELEASE_EXAMPLES: Final = examples(
    "gyoza-tui release a1b2",
    "gyoza-tui release --worker gpu-01 --yes",
)


def _which(states: str) -> Any:
    return typer.Argument(
        metavar="RUN|FILTER",
        help=f"Ids or their beginnings, or a filter: state:{states} op:train.",
        show_default=False,
        autocompletion=complete_open_run_or_term,
    )


@with_connection
def hold(
    flags: Connection,
    which: Annotated[list[str] | None, _which("pending")] = None,
    state: run_filters.State = None,
    definition: run_filters.Definition = None,
    worker: run_filters.Worker = None,
    topic: run_filters.Topic = None,
    since: run_filters.Since = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Hold back runs that wait: no worker gets them until `unhold`. Before several it asks."""
    chosen = Chosen(which or [], Flags(state, definition, worker, topic, since))
    action = RunAction(
        verb="hold",
        refusal=_cannot_be_held,
        fields={"held": True, "by": asker.user()},
        done=lambda run: "is not held: its server knows no holds" if run.held is None else f"held by {run.held}",
        next="unhold {}",
    )
    carry_out(flags, chosen, action, yes=yes, as_json=as_json)


@with_connection
def unhold(
    flags: Connection,
    which: Annotated[list[str] | None, _which("held")] = None,
    state: run_filters.State = None,
    definition: run_filters.Definition = None,
    worker: run_filters.Worker = None,
    topic: run_filters.Topic = None,
    since: run_filters.Since = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Let runs that were held go to workers again. Before several it asks."""
    chosen = Chosen(which or [], Flags(state, definition, worker, topic, since))
    action = RunAction(
        verb="unhold",
        refusal=_is_not_held,
        fields={"held": False, "by": asker.user()},
        done=lambda run: run.state.value,
        next="show {}",
    )
    carry_out(flags, chosen, action, yes=yes, as_json=as_json)


@with_connection
def release(
    flags: Connection,
    which: Annotated[list[str] | None, _which("running")] = None,
    state: run_filters.State = None,
    definition: run_filters.Definition = None,
    worker: run_filters.Worker = None,
    topic: run_filters.Topic = None,
    since: run_filters.Since = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Have workers stop runs and give them back, to run elsewhere. Before several it asks."""
    chosen = Chosen(which or [], Flags(state, definition, worker, topic, since))
    action = RunAction(
        verb="release",
        refusal=_is_at_no_worker,
        fields={"release": True, "by": asker.user()},
        done=lambda run: f"asked {visible(run.worker_id or 'its worker')} to stop it and give it back",
        next="show {}",
    )
    carry_out(flags, chosen, action, yes=yes, as_json=as_json)


def _cannot_be_held(run: OpRun) -> str | None:
    if run.held is not None:
        return f"is held already, by {visible(run.held)}"
    return None if run.state is RunState.PENDING else f"is {run.state.value}: only what is PENDING can be held"


def _is_not_held(run: OpRun) -> str | None:
    return "is not held" if run.held is None else None


def _is_at_no_worker(run: OpRun) -> str | None:
    return None if run.state in OWNED else f"is {run.state.value}: no worker has it"
