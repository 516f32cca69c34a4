"""The output of a run of this machine, printed as it comes while something else goes on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from gyoza_tui.cli.failures import CliError
from gyoza_tui.cli.terminal import for_terminal, say
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.models.runs import OpRun
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.state_dir.state_dir import LogFile

LAST_WORDS_S: Final = 15.0
"""How long a worker may take to write down the end of a log after the server knows of the run's."""


def print_bytes(pieces: Iterable[bytes], stream: TextIO | None = None) -> None:
    """To a program byte for byte; to a terminal without what could take it over. By default on stdout."""
    stream = stream or sys.stdout
    for piece in for_terminal(pieces) if stream.isatty() else pieces:
        stream.buffer.write(piece)
        stream.buffer.flush()


def print_log(pieces: Iterable[bytes], stream: TextIO | None = None) -> None:
    """What an op says, as it comes, in a thread beside others: what cannot be printed ends nothing but this."""
    try:
        print_bytes(whole_lines(pieces), stream)
    except BrokenPipeError:
        return  # whoever reads has had enough; the main thread learns of it by itself
    except OSError as error:
        say(f"the log can no longer be printed: {error.strerror or error}")


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same, and a newline where the last one is missing: something else is to follow."""
    last = b"\n"
    for piece in pieces:
        last = piece or last
        yield piece
    if not last.endswith(b"\n"):
        yield b"\n"


class LiveLog:
    """Of one run, attempt after attempt; says once why there is none where its worker's state is not here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._attempt: _Attempt | None = None
        self._last = 0
        """The attempt whose log was printed last."""
        self._told = False

    def look(self, run: OpRun) -> None:
        """To be called with all news of the run."""
        from gyoza_tui.cli.printing.local_logs import nowhere_here
        from gyoza_tui.worker_dirs import worker_dirs

        here = worker_dirs(self._settings.state_dir)
        for number in range(self._last + 1, run.current_attempt + 1):
            for root in here.values():
                self._begin(root, run.id, number)
        if run.worker_id is not None and run.worker_id not in here:
            self._tell(f"no log of {visible(run.id)}: {nowhere_here(run.worker_id, self._settings)}")

    def end(self, run: OpRun) -> None:
        """The run has ended: what its op said at last."""
        self.look(run)
        if self._attempt is None:
            self._tell(f"{visible(run.id)} has no log on this machine")
        self._finish()

    def _begin(self, root: Path, run_id: str, number: int) -> None:
        """If the log is there. What was printed until then is printed to its end."""
        from gyoza_tui.worker.state_dir.state_dir import log_files

        for log in log_files(root):
            if log.run_id == run_id and log.attempt == number:
                self._finish()
                self._last = number
                self._attempt = _Attempt(root, log)

    def _finish(self) -> None:
        if self._attempt is not None:
            self._attempt.finish()

    def _tell(self, words: str) -> None:
        if not self._told:
            say(words)
        self._told = True


class _Attempt:
    """A thread that prints one attempt's log."""

    def __init__(self, root: Path, log: LogFile) -> None:
        from gyoza_tui.worker.state_dir.state_dir import JOURNAL

        self._journal = root / JOURNAL
        self._log = log
        self._over_at: float | None = None
        self._thread = threading.Thread(target=self._print, name="log", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Return when all is printed."""
        self._over_at = self._over_at or time.monotonic()
        self._thread.join()

    def _print(self) -> None:
        from gyoza_tui.cli.printing import local_logs
        from gyoza_tui.worker.op_output.log_spool import SpoolReader
        from gyoza_tui.worker.op_output.redaction import redact_pieces

        try:
            secrets = local_logs.secrets(self._log, self._journal)
        except CliError as error:
            say(str(error))
            return
        print_log(redact_pieces(SpoolReader(self._log.path).follow(self._ended), secrets))

    def _ended(self) -> bool:
        from gyoza_tui.worker.journal.look import cleaned

        if self._over_at is None:
            return False
        return (
            cleaned(self._journal, self._log.path.stem) is not False or time.monotonic() > self._over_at + LAST_WORDS_S
        )
