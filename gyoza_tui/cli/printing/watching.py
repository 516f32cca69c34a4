"""`runs --watch`: the table of `runs`, repainted in place on a terminal; otherwise a row more for each change."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from gyoza_tui.cli import terminal
from gyoza_tui.cli.printing import run_table, run_words
from gyoza_tui.cli.printing.patience import Patience
from gyoza_tui.cli.printing.repainting import Picture

if TYPE_CHECKING:
    from gyoza_tui.cli.flags.run_filters import Wanted
    from gyoza_tui.cli.terminal import Times
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.runs import OpRun

LOOK_S: Final = 1.0
_OTHERS: Final = 4
"""Lines of a terminal that are no runs: the headings, a word about the server and the space above it, the cursor's."""
_Seen: TypeAlias = tuple[object, ...]


def watch(client: GyozaClient, wanted: Wanted, limit: int, times: Times, *, as_json: bool) -> NoReturn:
    """Until somebody interrupts it."""

    def look(most: int) -> list[OpRun]:
        return list(wanted.runs(client, most))

    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not as_json:
        _repaint(look, limit, times)
    _print_changes(client, look, limit, as_json=as_json)


def _repaint(look: Callable[[int], list[OpRun]], limit: int, times: Times) -> NoReturn:
    picture = Picture()
    patience = Patience(tell=picture.word)
    while True:
        room = max(1, shutil.get_terminal_size().lines - _OTHERS)
        listed = patience.ask(partial(look, min(limit, room)))
        picture.show(run_table.run_lines(listed, times))
        time.sleep(LOOK_S)


def _print_changes(client: GyozaClient, look: Callable[[int], list[OpRun]], limit: int, *, as_json: bool) -> NoReturn:
    patience = Patience(tell=terminal.say)
    table = run_table.GrowingTable()
    seen: dict[str, _Seen] = {}
    while True:
        listed = patience.ask(partial(look, limit))
        now = {run.id for run in listed}
        gone = [patience.ask(partial(client.get_run, run_id, events=False)) for run_id in seen if run_id not in now]
        known = [*gone, *reversed(listed)]
        changed = [run for run in known if seen.get(run.id) != _changing(run)]
        lines = map(_json_line, changed) if as_json else table.more_lines(changed, known)
        for line in lines:
            terminal.out(line)
        seen = {run.id: _changing(run) for run in listed}
        time.sleep(LOOK_S)


def _json_line(run: OpRun) -> str:
    return terminal.json_line(run_words.as_json(run))


def _changing(run: OpRun) -> _Seen:
    return run.state, run.current_attempt, run.worker_id, run.priority
