"""Waiting for the end of a run at the server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from gyoza_tui.cli.printing.patience import Patience
from gyoza_tui.cli.terminal import say
from gyoza_tui.models.states import RunState

if TYPE_CHECKING:
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.runs import OpRun

POLL_MIN_S = 0.1
POLL_MAX_S = 2.0
QUIET_S = 2.0
"""Why a run waits is printed after this time."""
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


class Wait:
    """For one run or several. A server that is away for a while does not end it; a refusal does."""

    def __init__(self, client: GyozaClient, look: Callable[[OpRun], None]) -> None:
        """`look` is called with all news of the run."""
        self._client = client
        self._look = look
        self._begin = time.monotonic()
        self._patience = Patience(say, answered=True)
        self._printed: set[str] = set()

    def ended(self, run: OpRun) -> OpRun:
        """The run at its end."""
        pause = POLL_MIN_S
        while not run.state.terminal:
            self._look(run)
            time.sleep(pause)
            pause = min(POLL_MAX_S, pause * 1.2)
            run = self._patience.ask(partial(self._client.get_run, run.id))
            if time.monotonic() > self._begin + QUIET_S:
                self._print_news(_hold_ups(run))
        return run

    def _print_news(self, lines: Iterator[str]) -> None:
        """What differs from what was printed in more than a number, as the seconds that are left."""
        for line in lines:
            gist = _NUMBER.sub("", line)
            if gist not in self._printed:
                say(line)
            self._printed.add(gist)


def at_work(client: GyozaClient, run: OpRun) -> str:
    """What the run is at: its state, and before its start what its worker says that it does."""
    import httpx

    if run.state is not RunState.ASSIGNED or run.worker_id is None:
        return run.state.value
    try:
        listed = client.get_worker(run.worker_id).running_ops
    except httpx.HTTPError:
        return run.state.value
    phases = [op.phase for op in listed if op.id == run.id and op.phase]
    return f"{run.state.value}: {phases[0].replace('_', ' ')}" if phases else run.state.value


def _hold_ups(run: OpRun) -> Iterator[str]:
    """Why the run does not run yet: an attempt that failed, what it waits for."""
    from gyoza_tui.cli.printing import run_words

    for attempt in run.attempts:
        if attempt.attempt == run.current_attempt - 1 and (fault := run_words.failure(attempt.events)):
            yield f"attempt {attempt.attempt} failed, to be tried again: {fault.words}"
    if run.state is RunState.PENDING and run.placement:
        yield f"{run.state.value}: {run.placement}"
