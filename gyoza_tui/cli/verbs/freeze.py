"""`freeze`, `thaw`: stopping the processes of runs for a while, and letting them go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza_tui.cli import asker
from gyoza_tui.cli.completion.compound_words import complete_open_run_or_term
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options, run_filters
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.cli.flags.run_filters import Flags
from gyoza_tui.cli.verbs.many_runs import Chosen, RunAction, carry_out
from gyoza_tui.models.states import RunState

if TYPE_CHECKING:
    from gyoza_tui.models.runs import OpRun

FREEZE_EXAMPLES: Final = examples(
    "gyoza-tui freeze a1b2",
    "gyoza-tui freeze op:train state:running --yes",
)
THAW_EXAMPLES: Final = examples(
    "gyoza-tui thaw a1b2",
    "gyoza-tui thaw --worker gpu-01 --yes",
)
_HELP: Final = "Ids or their beginnings, or a filter: state:running op:train."
AtWork = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN|FILTER", help=_HELP, show_default=False, autocompletion=complete_open_run_or_term),
]


@with_connection
def freeze(
    flags: Connection,
    which: AtWork = None,
    state: run_filters.State = None,
    definition: run_filters.Definition = None,
    worker: run_filters.Worker = None,
    topic: run_filters.Topic = None,
    since: run_filters.Since = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Freeze runs at work: they keep slot and memory, use no CPU, and their time limit stands still."""
    chosen = Chosen(which or [], Flags(state, definition, worker, topic, since))
    carry_out(flags, chosen, _to(frozen=True), yes=yes, as_json=as_json)


@with_connection
def thaw(
    flags: Connection,
    which: AtWork = None,
    state: run_filters.State = None,
    definition: run_filters.Definition = None,
    worker: run_filters.Worker = None,
    topic: run_filters.Topic = None,
    since: run_filters.Since = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Let frozen runs go on."""
    chosen = Chosen(which or [], Flags(state, definition, worker, topic, since))
    carry_out(flags, chosen, _to(frozen=False), yes=yes, as_json=as_json)


def _to(*, frozen: bool) -> RunAction:
    verb = "freeze" if frozen else "thaw"
    return RunAction(
        verb=verb,
        refusal=_not_at_work,
        fields={"frozen": frozen, "by": asker.user()},
        done=lambda run: "is frozen already" if frozen and run.frozen else f"worker {run.worker_id} is to {verb} it",
        next="show {}",
    )


def _not_at_work(run: OpRun) -> str | None:
    if run.state is RunState.RUNNING:
        return None
    return f"is {run.state.value}: only what is RUNNING can be frozen or thawed"
