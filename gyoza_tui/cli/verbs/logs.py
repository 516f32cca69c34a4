"""`logs`: the output of a run of this machine's workers, from its spool. Needs no server for a run that is here."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.cli.printing import local_logs
from gyoza_tui.cli.printing.log_lines import Line, Lines, Selection
from gyoza_tui.models.moments import moment
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.cli.printing.local_logs import FoundLog, ServerTail
    from gyoza_tui.settings import Settings

EXAMPLES: Final = examples(
    "gyoza-tui logs a1b2",
    "gyoza-tui logs a1b2 -f --tail 20",
    "gyoza-tui logs a1b2 --since 10m --stderr",
    "gyoza-tui logs a1b2 --grep '(?i)error|warn' --attempt 1",
)


Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended here.")]
Tail = Annotated[int | None, typer.Option(metavar="N", min=0, help="Only the last N lines.", show_default=False)]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only what came then or later: 10m, 2026-11-20T10:00.", show_default=False),
]
Grep = Annotated[str | None, typer.Option(metavar="RE", help="Only lines that match it.", show_default=False)]
Stderr = Annotated[bool, typer.Option("--stderr", help="Only what the op wrote to stderr.")]
Attempt = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Of that attempt, not the last.", show_default=False)
]


@with_connection
def logs(
    flags: Connection,
    run: options.Run,
    follow: Follow = False,
    tail: Tail = None,
    since: Since = None,
    grep: Grep = None,
    stderr: Stderr = False,
    attempt: Attempt = None,
    as_json: options.AsJson = False,
) -> None:
    """Print a run's output.

    For runs of this machine's workers, also while they run and while no server answers. Of a run that failed elsewhere
    it prints the end, which the server has. With -f it waits for a run that has not begun; with --json it prints an
    object a line.
    """
    from gyoza_tui.cli import connection
    from gyoza_tui.cli.printing.live_log import print_bytes
    from gyoza_tui.worker.op_output.log_spool import SpoolReader
    from gyoza_tui.worker.op_output.redaction import redact_pieces

    selection = Selection(tail, _time(since), _pattern(grep), "stderr" if stderr else None)
    settings = connection.loaded(flags)
    found = _found(run, attempt, settings, follow=follow)
    if isinstance(found, local_logs.ServerTail):
        _print_tail(found, selection, as_json=as_json)
        return
    log, journal = found
    secrets = local_logs.secrets(log, journal)
    reader = SpoolReader(log.path)
    ended = local_logs.Ended(log, journal, settings) if follow else _at_once
    lines = Lines(reader, secrets, ended).chosen(selection)
    if as_json:
        _print_json(lines)
    elif selection:
        print_bytes(_as_bytes(lines))
    else:
        print_bytes(redact_pieces(reader.follow(ended), secrets))


def _time(text: str | None) -> float | None:
    """In UTC seconds."""
    try:
        return None if text is None else moment(text).seconds(time.time())
    except ValueError as error:
        raise usage(f"--since: {error}") from None


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what may mean something else in a later Python
            return None if text is None else re.compile(text)
    except (re.error, RecursionError) as error:
        raise usage(f"--grep {visible(text)} is no regular expression: {error}") from None


def _found(run: str, attempt: int | None, settings: Settings, *, follow: bool) -> FoundLog | ServerTail:
    if found := local_logs.find(run, attempt, settings):
        return found
    try:
        return local_logs.awaited(run, attempt, settings, patient=follow)
    except CliError as error:
        if error.code is not ExitCode.UNREACHABLE:
            raise
        raise CliError(f"no log of {visible(run)} under {settings.state_dir}; {error}", ExitCode.UNREACHABLE) from None


def _print_tail(tail: ServerTail, selection: Selection, *, as_json: bool) -> None:
    """Of its lines the server knows neither stream nor time."""
    from gyoza_tui.cli.printing.live_log import print_bytes
    from gyoza_tui.cli.terminal import out_json, say

    if selection.since is not None or selection.stream is not None:
        raise CliError(f"{tail.why} Without times and streams: leave out --since and --stderr")
    say(tail.why)
    lines = selection.of_texts(tail.text.splitlines(keepends=True))
    if as_json:
        for line in lines:
            out_json({"line": None, "t": None, "stream": None, "text": line.rstrip("\r\n")})
    else:
        print_bytes(line.encode() for line in lines)


def _at_once() -> bool:
    return True


def _as_bytes(lines: Iterable[Line]) -> Iterator[bytes]:
    """Each on a line of its own; the last one may be unfinished."""
    before = b""
    for line in lines:
        yield before + line.data + (b"\n" if line.ended else b"")
        before = b"" if line.ended else b"\n"


def _print_json(lines: Iterable[Line]) -> None:
    from gyoza_tui.cli.terminal import out_json

    for line in lines:
        out_json({"line": line.number, "t": line.at, "stream": line.stream, "text": line.text})
