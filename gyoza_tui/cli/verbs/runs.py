"""`runs`: what the server has."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options, run_filters
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.cli.flags.run_filters import Flags

LISTED: Final = 50
EXAMPLES: Final = examples(
    "gyoza-tui runs",
    "gyoza-tui runs state:failed op:train since:1h",
    "gyoza-tui runs --failed --worker gpu-01",
    "gyoza-tui runs --parent a1b2",
    "gyoza-tui runs 'out of memory' -n 500 --utc",
    "gyoza-tui runs --watch -- -state:completed",
    "gyoza-tui runs --json | jq -r '.[].id'",
)


@with_connection
def runs(
    flags: Connection,
    terms: run_filters.Terms = None,
    state: run_filters.State = None,
    definition: run_filters.Definition = None,
    worker: run_filters.Worker = None,
    topic: run_filters.Topic = None,
    since: run_filters.Since = None,
    parent: run_filters.Parent = None,
    failed: run_filters.Failed = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="How many, at most.")] = LISTED,
    watch: Annotated[bool, typer.Option("--watch", help="Go on and show what changes, until Ctrl-C.")] = False,
    utc: options.Utc = False,
    as_json: options.AsJson = False,
) -> None:
    """List runs, newest first.

    A filter is that of the screen: state:failed op:train run:a1b2 worker:gpu-01 topic:nightly parent:a1b2 since:1h, a
    comma between values for any of them, a `-` before a term turns it round, and any other word is looked for in the
    names and in what went wrong. A part of a name will do; worker:=gpu-1 is the whole name, as behind --worker.
    """
    from gyoza_tui.cli import connection, terminal
    from gyoza_tui.cli.printing import run_table, run_words, watching

    wanted = run_filters.wanted(terms or [], Flags(state, definition, worker, topic, since, parent), failed=failed)
    times = terminal.Times(utc)
    with connection.connected(flags) as at:
        if watch:
            watching.watch(at.client, wanted, limit, times, as_json=as_json)
        found = list(wanted.runs(at.client, limit + 1))
    listed = found[:limit]
    if as_json:
        terminal.out_json([run_words.as_json(run) for run in listed])
    elif not listed:
        terminal.say("no run matches" if wanted.text else "there is no run")
    else:
        for line in run_table.run_lines(listed, times, known=found):
            terminal.out(line)
    if len(found) > limit:
        terminal.say(f"there are older runs: --limit N lists more than {limit}")
