"""`show`: all about one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.cli.terminal import Times
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.client.children import Children
    from gyoza_tui.models.runs import Event, OpAttempt, OpRun
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.journal.look import StepTime

EXAMPLES: Final = examples(
    "gyoza-tui show a1b2",
    "gyoza-tui show a1b2 --utc",
    "gyoza-tui show a1b2 --json | jq .outputs",
)
_VALUE_SHOWN: Final = 2000
_CHILDREN_SHOWN: Final = 20
_TAIL_SHOWN: Final = 20
"""Lines of a failed op's output."""


@with_connection
def show(
    flags: Connection,
    run: options.Run,
    utc: options.Utc = False,
    as_json: options.AsJson = False,
) -> None:
    """Tell all about a run.

    What it asked for, its attempts, steps, events and outputs, its children, why it waits or failed. Steps are those of
    this machine's workers; --json prints the run as the server tells it.
    """
    from gyoza_tui.cli import connection, terminal
    from gyoza_tui.cli.printing import run_words

    with connection.connected(flags) as at:
        found = connection.find_run(at.client, run)
        children = None if as_json else _children(at.client, found)
    if as_json:
        terminal.out_json(run_words.as_json(found))
        return
    times = terminal.Times(utc)
    for line in (*described(found, times, _steps(at.settings, found)), *_child_lines(found, children, times)):
        terminal.out(line)


def _children(client: GyozaClient, run: OpRun) -> Children | None:
    """Of a run that may have some."""
    from gyoza_tui.client.children import children_of
    from gyoza_tui.models.nested import MaySubmit

    return None if run.may_submit is MaySubmit.NO else children_of(client, run.id)


def _child_lines(run: OpRun, children: Children | None, times: Times) -> Iterator[str]:
    """What is at work or failed first."""
    from gyoza_tui.cli.printing import run_table

    if children is None or not children.runs:
        return
    yield "children"
    yield from run_table.run_lines(children.runs[:_CHILDREN_SHOWN], times, known=children.runs)
    if children.more or len(children.runs) > _CHILDREN_SHOWN:
        yield f"there are more: gyoza-tui runs --parent {visible(run.id)}"


def _steps(settings: Settings, run: OpRun) -> dict[int, list[StepTime]]:
    """Of the attempts that a worker of this machine had."""
    from gyoza_tui.worker.journal.look import steps_of
    from gyoza_tui.worker.state_dir.state_dir import JOURNAL
    from gyoza_tui.worker_dirs import worker_dirs

    here = worker_dirs(settings.state_dir)
    found: dict[int, list[StepTime]] = {}
    for worker in {attempt.execution_summary.worker_id for attempt in run.attempts} & here.keys():
        found |= steps_of(here[worker or ""] / JOURNAL, run.id)
    return found


def described(run: OpRun, times: Times, steps: dict[int, list[StepTime]]) -> Iterator[str]:
    """The run in lines."""
    for name, value in _facts(run, times).items():
        if value:
            yield f"{name:<9}{visible(value)}"
    yield from _values("inputs", run.inputs)
    yield from _values("outputs", run.outputs)
    for attempt in run.attempts:
        yield from _attempt(run, attempt, times, steps.get(attempt.attempt, []))
    if not run.attempts:
        yield from _events(run.events, times)


def _facts(run: OpRun, times: Times) -> dict[str, str | None]:
    from gyoza_tui.cli.printing import run_words

    return {
        "run": run.id,
        "state": f"{run.state_word} ({run.progress:.0f}%)",
        "op": run.op_name,
        "image": run.image if run.op_definition else None,
        **run_words.asked_for(run),
        "priority": str(run.priority),
        "worker": run.worker_id,
        "created": times.ago(run.created_at),
        "time": run_words.run_time(run),
        "parent": run.parent_id,
        "waits": _waits(run, times),
        "frozen": f"since {times.told(run.frozen)}" if run.frozen is not None else None,
    }


def _waits(run: OpRun, times: Times) -> str | None:
    from gyoza_tui.cli.printing import run_words

    if run.waiting is not None:
        return f"{run_words.waits_for(run).removeprefix('waits ')}, since {times.told(run.waiting.since)}"
    return run.placement if not run.state.terminal else None


def _values(title: str, values: dict[str, object]) -> Iterator[str]:
    from gyoza_tui.cli.terminal import brief

    if values:
        yield title
    for name, value in values.items():
        yield f"  {visible(name)} = {visible(brief(value, _VALUE_SHOWN))}"


def _attempt(run: OpRun, attempt: OpAttempt, times: Times, steps: list[StepTime]) -> Iterator[str]:
    from gyoza_tui.cli.terminal import duration

    summary = attempt.execution_summary
    current = attempt.attempt == run.current_attempt
    worker = summary.worker_id or (run.worker_id if current else None)
    words = [f"attempt {attempt.attempt}: {attempt.state.value}" + (f" on {visible(worker)}" if worker else "")]
    if summary.gpu_id is not None:
        words.append(f"gpu {summary.gpu_id}")
    if attempt.started_at is not None:
        words.append(f"started {times.ago(attempt.started_at)}")
    if summary.duration_ms is not None:
        words.append(f"took {duration(summary.duration_ms / 1000)}")
    yield ", ".join(words)
    if steps:
        yield "  steps: " + ", ".join(_step(step) for step in steps)
    yield from _events(attempt.events or (run.events if current else []), times)


def _step(step: StepTime) -> str:
    from gyoza_tui.cli.terminal import duration
    from gyoza_tui.models.steps import step_word

    time = "goes on" if step.ended_at is None else duration(step.ended_at - step.began_at)
    return f"{visible(step_word(step.name))} {time}" + (
        f" (not done: {visible(step.not_done)})" if step.not_done else ""
    )


def _without_echo(events: list[Event]) -> Iterator[Event]:
    """Without a worker's word that it has heard of a cancel which stands there already."""
    from gyoza_tui.models.states import EventType

    cancelled = False
    for event in events:
        if not (cancelled and event.type is EventType.CANCELLED):
            yield event
        cancelled |= event.type is EventType.CANCELLED


def _events(events: list[Event], times: Times) -> Iterator[str]:
    from gyoza_tui.cli.printing import run_words
    from gyoza_tui.models.timeline import folded

    for first, event in folded(_without_echo(events)):
        since = "" if first is event else f", since {run_words.event(first)} at {times.after(events[0].t, first.t)}"
        yield f"  {times.after(events[0].t, event.t)} {visible(run_words.event(event) + since)}"
    fault = run_words.failure(events)
    if fault is None:
        return
    yield f"  failed: {visible(fault.words)}"
    for line in fault.log_tail.splitlines()[-_TAIL_SHOWN:]:
        yield f"    | {visible(line)}"
