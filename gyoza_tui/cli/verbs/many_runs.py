"""A change of one run or of many: what it would do is shown and asked for, each run told by a line."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.cli.flags import run_filters
from gyoza_tui.cli.flags.run_filters import Flags
from gyoza_tui.models import filters
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.runs import OpRun

_SHOWN: Final = 20
"""Runs that are listed before it is asked."""


@dataclass(frozen=True)
class RunAction:
    """What is done to a run, and in which words."""

    verb: str
    """`cancel`, before "3 runs"."""
    refusal: Callable[[OpRun], str | None]
    """Why it cannot be done to this run, without asking the server; None when it can."""
    fields: dict[str, Any]
    """Of the PATCH."""
    done: Callable[[OpRun], str]
    next: str
    """What one may want to type then; `{}` is the run."""


@dataclass(frozen=True)
class Chosen:
    """The runs that are meant: by their ids, or by a filter."""

    arguments: list[str]
    flags: Flags
    failed: bool = False

    @property
    def by_filter(self) -> bool:
        return self.failed or any(self.flags.terms()) or any(filters.is_term(each) for each in self.arguments)


def carry_out(flags: Connection, chosen: Chosen, change: RunAction, *, yes: bool, as_json: bool) -> None:
    """Do it. CliError when some runs refused, after the others were done."""
    from gyoza_tui.cli import connection, terminal
    from gyoza_tui.cli.printing import run_words

    with connection.connected(flags) as at:
        meant = _by_filter(at.client, chosen, change) if chosen.by_filter else _named(at.client, chosen.arguments)
        one = not chosen.by_filter and len(meant) == 1
        if not one and not yes and meant:
            _ask(meant, change)
        changed, refused = _changed(at.client, meant, change, quiet=as_json)
    if as_json and (changed or not one):
        dumped = [run_words.as_json(run) for run in changed]
        terminal.out_if_read(terminal.json_line(dumped[0] if one else dumped))
    if not meant:
        terminal.say(f"nothing to {change.verb}: no run that it can be done to matches")
    if len(changed) == 1:
        terminal.hint(change.next.format(shlex.quote(changed[0].id)))
    if refused:
        raise CliError("\n".join(refused if one else [*refused, f"{len(refused)} of {len(meant)} runs refused"]))


def _named(client: GyozaClient, ids: list[str]) -> list[OpRun]:
    """The runs of these ids or beginnings, each once."""
    from gyoza_tui.cli import connection

    if not ids:
        raise usage("name the runs by their ids or by a filter, as state:pending; `gyoza-tui runs` lists them")
    return connection.find_runs(client, ids)


def _by_filter(client: GyozaClient, chosen: Chosen, change: RunAction) -> list[OpRun]:
    """Those that match, and to which it can be done."""
    if any(not filters.is_term(each) for each in chosen.arguments):
        raise usage("name the runs either by their ids or by a filter; run:a1b2 is an id within a filter")
    wanted = run_filters.wanted(chosen.arguments, chosen.flags, failed=chosen.failed)
    return [run for run in wanted.runs(client) if change.refusal(run) is None]


def _ask(meant: list[OpRun], change: RunAction) -> None:
    """Show what would be done; CliError unless a person agrees."""
    from gyoza_tui.cli import terminal
    from gyoza_tui.cli.printing import run_table

    count = f"{len(meant)} run" + ("s" if len(meant) > 1 else "")
    states = Counter(run.state.value for run in meant)
    what = f"{change.verb} {count}: " + ", ".join(f"{number} {state}" for state, number in states.items())
    if not sys.stdin.isatty():
        raise usage(f"this would {what}. Nobody is there to be asked: --yes does it")
    for line in run_table.run_lines(meant[:_SHOWN], terminal.Times(), known=meant, to=sys.stderr):
        print(line, file=sys.stderr)
    if len(meant) > _SHOWN:
        terminal.say(f"and {len(meant) - _SHOWN} more")
    if not terminal.agreed(what[0].upper() + what[1:] + "?"):
        raise CliError("nothing was done")


def _changed(
    client: GyozaClient, meant: list[OpRun], change: RunAction, *, quiet: bool
) -> tuple[list[OpRun], list[str]]:
    """The runs as they are now, and what those said to which it could not be done.

    All are done that were asked for, also where nobody reads of them any more. Whatever ends it before, the number done
    is told.
    """
    import httpx

    from gyoza_tui.cli import terminal

    changed: list[OpRun] = []
    refused: list[str] = []
    try:
        for run in meant:
            now = _one(client, run, change)
            if isinstance(now, str):
                refused.append(f"{visible(run.id)} {now}")
                continue
            changed.append(now)
            if not quiet:
                terminal.out_if_read(f"{visible(now.id)} {change.done(now)}")
    except KeyboardInterrupt:
        left = meant[len(changed) + len(refused) :]
        hint = f"; `gyoza-tui show {visible(left[0].id)}` tells of the next one" if left else ""
        raise CliError(f"interrupted: {len(changed)} of {len(meant)} done{hint}", ExitCode.INTERRUPTED) from None
    except httpx.HTTPError:
        if changed:
            terminal.say(f"{len(changed)} of {len(meant)} were done before the server was lost")
        raise
    return changed, refused


def _one(client: GyozaClient, run: OpRun, change: RunAction) -> OpRun | str:
    """The run as it is now, or why it could not be done."""
    import httpx

    from gyoza_tui.client.answers import Meaning, meaning, words

    if (why := change.refusal(run)) is not None:
        return why
    try:
        return client.update_run(run.id, **change.fields)
    except httpx.HTTPError as error:
        if meaning(error) not in (Meaning.REFUSED, Meaning.TROUBLE):
            raise
        return f"is not changed: {words(error)}"
