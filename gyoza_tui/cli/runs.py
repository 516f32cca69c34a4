"""`runs`, `show`, `cancel`: what the server knows."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza_tui.cli import options
from gyoza_tui.cli.failures import CliError
from gyoza_tui.cli.options import Connection
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.models.runs import Event, OpAttempt, OpRun

LISTED = 50


def runs(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="How many, at most.")] = LISTED,
    as_json: options.AsJson = False,
    server: options.Server = None,
    api_key_file: options.ApiKeyFile = None,
    state_dir: options.StateDir = None,
    worker_id: options.WorkerId = None,
) -> None:
    """List the runs, newest first."""
    from gyoza_tui.cli import connection, terminal

    flags = Connection(server, worker_id, state_dir, api_key_file).over(ctx.obj)
    with connection.connected(flags) as at:
        found = list(islice(connection.all_runs(at.client), limit + 1))
    listed = found[:limit]
    if as_json:
        terminal.out_json([run.model_dump(mode="json") for run in listed])
    else:
        print_runs(listed)
    if len(found) > limit:
        terminal.say(f"there are older runs: --limit {limit * 2}")


def print_runs(listed: list[OpRun]) -> None:
    """A table of runs, ids as short as unique among them."""
    from gyoza_tui.cli import run_words, terminal
    from gyoza_tui.cli.connection import short_ids

    short = short_ids([run.id for run in listed])
    terminal.table(
        ["STATE", "RUN", "TRY", "OP", "DONE", "TIME", "AGE", "WORKER", "NOTE"],
        [
            [
                (run.state.value, run_words.STYLES[run.state]),
                (short[run.id], ""),
                (str(run.current_attempt), "dim"),
                (run_words.op_name(run), ""),
                (f"{run.progress:.0f}%", "dim"),
                (run_words.run_time(run), ""),
                (terminal.age(run.created_at), "dim"),
                (run.worker_id or "-", ""),
                (run_words.note(run), ""),
            ]
            for run in listed
        ],
        elastic={"OP", "WORKER", "NOTE"},
    )


def show(
    ctx: typer.Context,
    run: options.Run,
    as_json: options.AsJson = False,
    server: options.Server = None,
    api_key_file: options.ApiKeyFile = None,
    state_dir: options.StateDir = None,
    worker_id: options.WorkerId = None,
) -> None:
    """Tell all about a run: attempts, events, outputs, why it failed or waits."""
    from gyoza_tui.cli import connection, terminal

    flags = Connection(server, worker_id, state_dir, api_key_file).over(ctx.obj)
    with connection.connected(flags) as at:
        found = connection.find_run(at.client, run)
    if as_json:
        terminal.out_json(found.model_dump(mode="json"))
        return
    print_run(found)


def print_run(run: OpRun) -> None:
    from gyoza_tui.cli import run_words
    from gyoza_tui.cli.terminal import brief, moment, out

    facts = {
        "run": run.id,
        "state": f"{run.state.value} ({run.progress:.0f}%)",
        "op": run_words.op_name(run),
        "command": brief(run.command, 400) if run.command else None,
        "worker": run.worker_id,
        "created": moment(run.created_at),
        "time": run_words.run_time(run),
        "waits": run.placement if not run.state.terminal else None,
    }
    for name, value in facts.items():
        if value:
            out(f"{name:<9}{visible(value)}")
    for title, values in (("inputs", run.inputs), ("outputs", run.outputs)):
        if values:
            out(title)
        for name, value in values.items():
            out(f"  {visible(name)} = {visible(brief(value, 2000))}")
    for attempt in run.attempts:
        _print_attempt(run, attempt)
    if not run.attempts:
        _print_events(run.events)


def _print_attempt(run: OpRun, attempt: OpAttempt) -> None:
    from gyoza_tui.cli.terminal import moment, out

    worker = attempt.execution_summary.worker_id or (run.worker_id if attempt.attempt == run.current_attempt else None)
    where = f" on {visible(worker)}" if worker else ""
    out(f"attempt {attempt.attempt}: {attempt.state.value}{where}, started {moment(attempt.started_at)}")
    _print_events(attempt.events or (run.events if attempt.attempt == run.current_attempt else []))


def _print_events(events: list[Event]) -> None:
    from gyoza_tui.cli import run_words
    from gyoza_tui.cli.terminal import brief, out
    from gyoza_tui.models.states import EventType

    for event in events:
        words = "" if event.msg is None else f" {visible(event.msg)}"
        if event.type in (EventType.INFO, EventType.PROGRESS, EventType.ERROR) and event.payload:
            words += f" {visible(brief(event.payload, 200))}"
        out(f"  {event.t.astimezone():%H:%M:%S} {event.type.value}{words}")
    fault = run_words.failure(events)
    if fault is None:
        return
    out(f"  failed: {visible(fault.words)}")
    for line in fault.log_tail.splitlines()[-20:]:
        out(f"    | {visible(line)}")


def cancel(
    ctx: typer.Context,
    run: options.Run,
    as_json: options.AsJson = False,
    server: options.Server = None,
    api_key_file: options.ApiKeyFile = None,
    state_dir: options.StateDir = None,
    worker_id: options.WorkerId = None,
) -> None:
    """Cancel a run, whether it waits or runs."""
    from gyoza_tui.cli import connection, terminal
    from gyoza_tui.models.states import RunState

    flags = Connection(server, worker_id, state_dir, api_key_file).over(ctx.obj)
    with connection.connected(flags) as at:
        found = connection.find_run(at.client, run)
        if found.state.terminal:
            raise CliError(f"{visible(found.id)} is already {found.state.value}")
        done = at.client.update_run(found.id, state=RunState.CANCELLED)
    if as_json:
        terminal.out_json(done.model_dump(mode="json"))
    else:
        terminal.out(f"{visible(done.id)} {done.state.value}")
