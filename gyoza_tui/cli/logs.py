"""`logs`: the output of a run of this machine's worker, from its spool. Needs no server for a run that is here."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza_tui.cli import options
from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.cli.options import Connection
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.log_spool import LogLine
    from gyoza_tui.worker.state_dir import LogFile

ASK_S = 1.0
"""Between questions whether a followed run has ended."""
_BATCH = 1000
_FOLLOW_POLL_S = 0.1


def logs(
    ctx: typer.Context,
    run: options.Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended here.")] = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    api_key_file: options.ApiKeyFile = None,
    state_dir: options.StateDir = None,
    worker_id: options.WorkerId = None,
) -> None:
    """Print a run's output; for runs of this machine's worker."""
    from gyoza_tui.cli import connection
    from gyoza_tui.worker.journal_look import secrets_of
    from gyoza_tui.worker.log_spool import SpoolReader
    from gyoza_tui.worker.redaction import redact_pieces

    settings = connection.loaded(Connection(server, worker_id, state_dir, api_key_file).over(ctx.obj))
    log, journal = _find(run, settings)
    secrets = secrets_of(journal, log.run_id)
    reader = SpoolReader(log.path)
    ended = _Ended(log, journal, settings) if follow else _at_once
    if as_json:
        _print_lines(reader.read_lines, ended, secrets)
    else:
        _print_bytes(redact_pieces(reader.follow(ended), secrets))


def _at_once() -> bool:
    return True


def _print_bytes(pieces: Iterator[bytes]) -> None:
    """To a program byte for byte; to a terminal without what could take it over."""
    from gyoza_tui.cli.terminal import for_terminal

    terminal = sys.stdout.isatty()
    for piece in pieces:
        sys.stdout.buffer.write(for_terminal(piece) if terminal else piece)
        sys.stdout.buffer.flush()


def _print_lines(
    read: Callable[[int, int], list[LogLine]], ended: Callable[[], bool], secrets: tuple[str, ...]
) -> None:
    """A JSON object per line. A line that is not ended yet waits for its end while the run goes on."""
    from gyoza_tui.cli.terminal import out_json
    from gyoza_tui.worker.redaction import redacted

    start = 0
    while True:
        last_round = ended()
        lines = read(start, _BATCH)
        if lines and lines[-1].partial and not last_round and len(lines) < _BATCH:
            lines.pop()
        for line in lines:
            text = redacted(line.data.decode(errors="replace"), secrets)
            stream = line.stream.value if line.stream else None
            out_json({"line": line.number, "t": line.at, "stream": stream, "text": text})
            start = line.number + max(1, line.cut_lines)
        if not lines:
            if last_round:
                return
            time.sleep(_FOLLOW_POLL_S)


def _find(text: str, settings: Settings) -> tuple[LogFile, Path]:
    """The newest log of the run here, by the beginning of its id, and the journal of the worker that wrote it.

    CliError names the worker that has it otherwise.
    """
    from gyoza_tui.worker.state_dir import JOURNAL, log_files, worker_dir

    if not text.strip(".") or not text.isprintable():
        raise usage(f"{text[:80]!a} is not a run's id; `gyoza-tui runs` lists them")
    root = worker_dir(settings.state_dir, settings.worker_id)
    files = [file for file in log_files(root) if file.run_id.startswith(text)]
    exact = [file for file in files if file.run_id == text]
    ids = sorted({file.run_id for file in exact or files})
    if len(ids) == 1:
        newest = max(exact or files, key=lambda file: (file.attempt, file.path.stat().st_mtime))
        return newest, root / JOURNAL
    if ids:
        listed = "\n".join(f"  {run_id}" for run_id in ids[:10])
        raise CliError(f"{len(ids)} runs here have ids that begin with {visible(text)}:\n{listed}")
    raise _not_here(text, settings, root)


def _not_here(text: str, settings: Settings, root: Path) -> CliError:
    from gyoza_tui.cli import connection
    from gyoza_tui.worker.state_dir import worker_dir

    try:
        with connection.connected_by(settings) as at:
            run = connection.find_run(at.client, text)
    except CliError as error:
        if error.code is ExitCode.UNREACHABLE:
            return CliError(f"no log of {visible(text)} in {root}; {error}", ExitCode.UNREACHABLE)
        raise
    name = visible(run.id)
    if run.worker_id is None:
        return CliError(f"{name} is {run.state.value} and has no log: no worker has it")
    if run.worker_id == settings.worker_id:
        return CliError(f"{name} is {run.state.value} and has no log in {root}")
    worker = visible(run.worker_id)
    if worker_dir(settings.state_dir, run.worker_id).is_dir():
        return CliError(
            f"{name} is a run of worker {worker} of this machine: gyoza-tui logs --worker-id {worker} {name}"
        )
    return CliError(f"{name} is a run of worker {worker}: its log is on that machine, `gyoza-tui logs` there shows it")


class _Ended:
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
        from gyoza_tui.worker.journal_look import cleaned

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
