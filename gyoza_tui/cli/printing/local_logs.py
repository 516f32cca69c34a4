"""Finding the log of a run among those of this machine's workers, and whether it is whole."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from gyoza_tui.models.runs import OpRun
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.state_dir.state_dir import LogFile

ASK_S: Final = 1.0
"""Between questions whether a followed run has begun, or ended."""
_LISTED: Final = 10


class FoundLog(NamedTuple):
    log: LogFile
    journal: Path
    """Of the worker that wrote it."""


def find(text: str, attempt: int | None, settings: Settings) -> FoundLog | None:
    """The newest log of the run here, or that of an attempt, by the beginning of its id. None: not here."""
    from gyoza_tui.worker.state_dir.state_dir import JOURNAL, log_files
    from gyoza_tui.worker_dirs import worker_dirs

    if not text.strip(".") or not text.isprintable():
        raise usage(f"{text[:80]!a} is not a run's id; `gyoza-tui runs` lists them")
    journals = {
        file: root / JOURNAL
        for root in worker_dirs(settings.state_dir).values()
        for file in log_files(root)
        if file.run_id.startswith(text)
    }
    files = list(journals)
    files = [file for file in files if file.run_id == text] or files
    ids = sorted({file.run_id for file in files})
    if len(ids) > 1:
        listed = "\n".join(f"  {run_id}" for run_id in ids[:_LISTED])
        raise CliError(f"{len(ids)} runs here have ids that begin with {visible(text)}:\n{listed}")
    if not ids:
        return None
    wanted = [file for file in files if attempt in (None, file.attempt)]
    if not wanted:
        there = ", ".join(str(number) for number in sorted({file.attempt for file in files}))
        raise CliError(f"no log of attempt {attempt} of {ids[0]} here; there are those of {there}")
    newest = max(wanted, key=lambda file: (file.attempt, file.path.stat().st_mtime))
    return FoundLog(newest, journals[newest])


def nowhere_here(worker_id: str, settings: Settings) -> str:
    """Why there is no log of that worker's runs."""
    return (
        f"no state of worker {visible(worker_id)} under {settings.state_dir}; --state-dir names another, or its log "
        "is on another machine"
    )


class ServerTail(NamedTuple):
    """The end of a failed attempt's output, as its worker reported it to the server."""

    text: str
    why: str
    """Why it is not the whole log."""


def awaited(text: str, attempt: int | None, settings: Settings, *, patient: bool) -> FoundLog | ServerTail:
    """The same of a run that has no log here yet, once it has begun, or what the server has of it.

    CliError says why there is neither, and where the log is.
    """
    from gyoza_tui.cli import connection
    from gyoza_tui.cli.printing.patience import Patience
    from gyoza_tui.cli.terminal import say

    patience = Patience(tell=say)
    with connection.connected_by(settings) as at:
        run = patience.ask(partial(connection.find_run, at.client, text))
        if patient and _may_come(run, settings):
            say(
                f"{visible(run.id)} has not begun yet; waiting for it" + (f": {run.placement}" if run.placement else "")
            )
        while patient and _may_come(run, settings):
            time.sleep(ASK_S)
            if found := find(run.id, attempt, settings):
                return found
            run = patience.ask(partial(at.client.get_run, run.id))
    why = _not_here(run, settings)
    tail = _tail_of(run, attempt)
    if not tail:
        raise CliError(why)
    return ServerTail(tail, f"{why}. This is the end of it, which the server has:")


def _may_come(run: OpRun, settings: Settings) -> bool:
    from gyoza_tui.worker_dirs import worker_dirs

    here = worker_dirs(settings.state_dir)
    return not run.state.terminal and run.worker_id in (None, settings.worker_id, *here)


def _not_here(run: OpRun, settings: Settings) -> str:
    from gyoza_tui.worker_dirs import worker_dirs

    name = visible(run.id)
    if run.worker_id is None:
        return f"{name} is {run.state.value} and has no log: no worker has it"
    if root := worker_dirs(settings.state_dir).get(run.worker_id):
        return f"{name} is {run.state.value} and has no log in {root}"
    return f"no log of {name}: {nowhere_here(run.worker_id, settings)}"


def _tail_of(run: OpRun, attempt: int | None) -> str:
    """Of an attempt that failed, by default the last one; empty where the server has nothing of it."""
    from gyoza_tui.cli.printing.run_words import failure

    wanted = run.current_attempt if attempt is None else attempt
    reported = [each.events for each in run.attempts if each.attempt == wanted and each.events]
    events = reported[0] if reported else run.events if wanted == run.current_attempt else []
    fault = failure(events)
    return "" if fault is None else fault.log_tail


def secrets(log: LogFile, journal: Path) -> tuple[str, ...]:
    """What is not to be printed of a log. CliError when nobody knows."""
    from gyoza_tui.worker.journal.look import secrets_of

    known = secrets_of(journal, log.run_id)
    if known is None:
        raise CliError(
            f"the log of {visible(log.run_id)} is not printed: it may hold secrets, and {journal}, which would tell "
            f"them, does not know the run or cannot be read. Read its own files: {log.path}/*.log"
        )
    return known


class Ended:
    """Whether a followed run has ended: once its worker has cleaned up, for a cancelled op may write until then.

    Of a run that the worker knows no more the server tells; when it does not answer the run has not ended.
    """

    def __init__(self, log: LogFile, journal: Path, settings: Settings) -> None:
        self._log = log
        self._journal = journal
        self._settings = settings
        self._next = 0.0
        self._ended = False

    def __call__(self) -> bool:
        if not self._ended and time.monotonic() >= self._next:
            self._ended = self._ask()
            self._next = time.monotonic() + ASK_S
        return self._ended

    def _ask(self) -> bool:
        from gyoza_tui.worker.journal.look import cleaned

        over = cleaned(self._journal, self._log.path.stem)
        return self._ask_server() if over is None else over

    def _ask_server(self) -> bool:
        from gyoza_tui.cli import connection

        try:
            with connection.connected_by(self._settings) as at:
                run = at.client.get_run(self._log.run_id, events=False)
        except CliError as error:
            return error.code is not ExitCode.UNREACHABLE
        return run.state.terminal or run.current_attempt != self._log.attempt
