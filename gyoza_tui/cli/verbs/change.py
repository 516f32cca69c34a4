"""`cancel`, `retry`, `priority`: changing one run, or many that are named or found by a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza_tui.cli.completion.compound_words import complete_open_run_or_term, complete_retryable_run_or_term
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import usage
from gyoza_tui.cli.flags import options, run_filters
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.cli.flags.run_filters import Flags
from gyoza_tui.cli.verbs.many_runs import Chosen, RunAction, carry_out
from gyoza_tui.models.limits import PRIORITY_MAX
from gyoza_tui.models.states import Cause, RunState, allowed

if TYPE_CHECKING:
    from gyoza_tui.models.runs import OpRun

CANCEL_EXAMPLES: Final = examples(
    "gyoza-tui cancel a1b2",
    "gyoza-tui cancel state:pending op:train",
    "gyoza-tui cancel --worker gpu-01 --yes",
)
RETRY_EXAMPLES: Final = examples(
    "gyoza-tui retry a1b2",
    "gyoza-tui retry state:failed since:1h",
    "gyoza-tui retry --failed --topic nightly --yes",
)
PRIORITY_EXAMPLES: Final = examples(
    "gyoza-tui priority a1b2 9",
    "gyoza-tui priority op:train state:pending 1 --yes",
    "gyoza-tui priority a1b2 -- -3",
)
_OPEN_HELP: Final = "Ids or their beginnings, or a filter: state:pending op:train."
_ENDED_HELP: Final = "Ids or their beginnings, or a filter: state:failed op:train."
Open = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN|FILTER", help=_OPEN_HELP, show_default=False, autocompletion=complete_open_run_or_term),
]
Ended = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN|FILTER", help=_ENDED_HELP, show_default=False, autocompletion=complete_retryable_run_or_term
    ),
]


@with_connection
def cancel(
    flags: Connection,
    which: Open = None,
    state: run_filters.State = None,
    definition: run_filters.Definition = None,
    worker: run_filters.Worker = None,
    topic: run_filters.Topic = None,
    since: run_filters.Since = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Cancel runs that wait or run. One that is named is cancelled at once; before several it asks."""
    chosen = Chosen(which or [], Flags(state, definition, worker, topic, since))
    carry_out(flags, chosen, CANCEL, yes=yes, as_json=as_json)


@with_connection
def retry(
    flags: Connection,
    which: Ended = None,
    state: run_filters.State = None,
    definition: run_filters.Definition = None,
    worker: run_filters.Worker = None,
    topic: run_filters.Topic = None,
    since: run_filters.Since = None,
    failed: run_filters.Failed = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Queue runs again that failed or were cancelled. One that is named is queued at once; before several it asks."""
    chosen = Chosen(which or [], Flags(state, definition, worker, topic, since), failed=failed)
    carry_out(flags, chosen, RETRY, yes=yes, as_json=as_json)


@with_connection
def priority(
    flags: Connection,
    which: Open = None,
    *,
    number: Annotated[
        str, typer.Argument(metavar="N", help="The priority; a negative one behind --.", show_default=False)
    ],
    state: run_filters.State = None,
    definition: run_filters.Definition = None,
    worker: run_filters.Worker = None,
    topic: run_filters.Topic = None,
    since: run_filters.Since = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Change the priority of runs. Higher ones run first; 5 is what a run gets when nobody says."""
    chosen = Chosen(which or [], Flags(state, definition, worker, topic, since))
    carry_out(flags, chosen, _to_priority(_whole(number)), yes=yes, as_json=as_json)


def _cannot_be_cancelled(run: OpRun) -> str | None:
    return f"is already {run.state.value}" if run.state.terminal else None


def _cannot_be_retried(run: OpRun) -> str | None:
    if allowed(run.state, RunState.PENDING, Cause.RETRY):
        return None
    return f"is {run.state.value}: only what is FAILED or CANCELLED can be retried"


def _has_ended(run: OpRun) -> str | None:
    return f"is already {run.state.value}: its priority means nothing" if run.state.terminal else None


CANCEL: Final = RunAction(
    verb="cancel",
    refusal=_cannot_be_cancelled,
    fields={"state": RunState.CANCELLED},
    done=lambda run: run.state.value,
    next="show {}",
)
RETRY: Final = RunAction(
    verb="retry",
    refusal=_cannot_be_retried,
    fields={"state": RunState.PENDING},
    done=lambda run: f"{run.state.value}, attempt {run.current_attempt}",
    next="logs -f {}",
)


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise usage(f"N is missing, for {text[:80]!a} is no number: gyoza-tui priority RUN... N") from None
    if abs(number) > PRIORITY_MAX:
        raise usage(f"N is a number from -{PRIORITY_MAX} to {PRIORITY_MAX}")
    return number


def _to_priority(number: int) -> RunAction:
    return RunAction(
        verb=f"set the priority to {number} of",
        refusal=_has_ended,
        fields={"priority": number},
        done=lambda run: f"priority {run.priority}",
        next="runs state:pending",
    )
