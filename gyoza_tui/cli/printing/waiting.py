"""Waiting for the ends of runs at the server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from gyoza_tui.cli.failures import CliError, ExitCode
from gyoza_tui.cli.printing.patience import Patience
from gyoza_tui.cli.printing.progress_bars import bar
from gyoza_tui.cli.terminal import say
from gyoza_tui.models.states import RunState

if TYPE_CHECKING:
    from gyoza_tui.cli.printing.live_log import LiveLog
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.runs import OpRun

LOOK_MIN_S = 0.1
LOOK_MAX_S = 2.0
"""Between looks at a run that goes on. Its end comes by itself."""
QUIET_S = 2.0
"""Why a run waits is printed after this time."""
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


class Wait:
    """For one run or several. A server that is away for a while does not end it; a refusal does."""

    def __init__(self, client: GyozaClient, runs: list[OpRun], look: Callable[[OpRun], None]) -> None:
        """`look` is called with news of the first of the runs that go on."""
        from gyoza_tui.client.ends import PendingRuns

        self._client = client
        self._over = [run for run in runs if run.state.terminal]
        self._going = {run.id: run for run in runs if not run.state.terminal}
        self._pending = PendingRuns(client, self._going)
        self._look = look
        self._begin = time.monotonic()
        self._patience = Patience(say, answered=True)
        self._printed: set[str] = set()

    def ends(self) -> Iterator[OpRun]:
        """Each run when it has ended."""
        yield from self._over
        pause = LOOK_MIN_S
        while self._going:
            self._look(next(iter(self._going.values())))
            ends = self._patience.ask(partial(self._pending.next_ends, pause))
            for end in ends:
                yield from self._ended(end.id)
            if not ends:
                pause = min(LOOK_MAX_S, pause * 1.2)
                self._look_again()

    def _ended(self, run_id: str) -> Iterator[OpRun]:
        run = self._asked(run_id)
        if run.state.terminal:
            del self._going[run_id]
            yield run
        else:  # retried since
            self._pending.wait_again(run_id)

    def _look_again(self) -> None:
        run_id = next(iter(self._going))
        self._going[run_id] = self._asked(run_id)
        if time.monotonic() > self._begin + QUIET_S:
            self._print_news(_hold_ups(self._going[run_id]))

    def _asked(self, run_id: str) -> OpRun:
        return self._patience.ask(partial(self._client.get_run, run_id))

    def _print_news(self, lines: Iterator[str]) -> None:
        """What differs from what was printed in more than a number, as the seconds that are left."""
        for line in lines:
            gist = _NUMBER.sub("", line)
            if gist not in self._printed:
                say(line)
            self._printed.add(gist)


def wait_for(
    client: GyozaClient, runs: list[OpRun], each: Callable[[OpRun], None], log: LiveLog | None = None
) -> list[OpRun]:
    """The runs at their ends, in their order. `each` is called with a run when it has ended; `log` is of the only one.

    Raises CliError when it is interrupted.
    """
    ended: dict[str, OpRun] = {}
    try:
        with bar("waiting", 100.0 * len(runs), shown=log is None) as show:

            def look(run: OpRun) -> None:
                words = _at_work(client, run) if len(runs) == 1 else f"{len(ended)} of {len(runs)} ended"
                show(words, 100.0 * len(ended) + run.progress)
                if log is not None:
                    log.look(run)

            for run in Wait(client, runs, look).ends():
                ended[run.id] = run
                each(run)
        if log is not None:
            log.end(ended[runs[0].id])
    except KeyboardInterrupt:
        words = _no_longer_waiting(list(ended), [run.id for run in runs if run.id not in ended])
        raise CliError(words, ExitCode.INTERRUPTED) from None
    return [ended[run.id] for run in runs]


def _at_work(client: GyozaClient, run: OpRun) -> str:
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


def _no_longer_waiting(ended: list[str], others: list[str]) -> str:
    """`others`: those whose ends were not printed; none while the last of a log is printed."""
    if not others:
        which = "the run has" if len(ended) == 1 else "all runs have"
        return f"interrupted: {which} ended; `gyoza-tui show {ended[-1]}` tells how"
    going = f"{others[0]} goes on" if len(others) == 1 else f"{len(others)} runs go on, as {others[0]}"
    return f"no longer waiting; {going}. Stop it: gyoza-tui cancel {others[0]}"
