"""The one attempt of `gyoza-tui run`, watched: its start, its log, the interrupts of whoever waits, its end."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

from gyoza_tui.cli.failures import CliError, ExitCode
from gyoza_tui.cli.terminal import say

if TYPE_CHECKING:
    from gyoza_tui.backends.base import PullProgress
    from gyoza_tui.models.runs import OpRun
    from gyoza_tui.worker.execution_pipeline.script import ScriptRecord
    from gyoza_tui.worker.execution_pipeline.services import Services
    from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext

_LOOK_S: Final = 0.1
_SAID_S: Final = 1.0
"""How long words may hold up the main thread: the log may go the same way, and nobody read it."""
_LEAVES_AT: Final = 3
"""Interrupts. A worker's third, too, leaves what is running."""


class WatchedAttempt:
    """In threads of its own: the main one hears the signals, and an interrupted `Thread.join` forgets its thread."""

    def __init__(self, run: OpRun, services: Services, interrupts: list[int]) -> None:
        self._run = run
        self._services = services
        self._interrupts = interrupts
        self._heeded = 0
        self._ctx = _context(run, services)
        self._over = threading.Event()
        self._printed = threading.Event()

    @property
    def cancelled(self) -> bool:
        """An interrupt came before its end."""
        from gyoza_tui.worker.journal.row import Outcome

        return self._services.record.row.outcome is Outcome.CANCELLED

    def begin(self) -> None:
        threading.Thread(target=self._go, name="run", daemon=True).start()

    def watch_start(self) -> None:
        """Return once there is something to run, or nothing will be."""
        from gyoza_tui.cli.printing.progress_bars import bar

        with bar(f"starting {self._run.image}", 1) as show:

            def pulled(progress: PullProgress) -> None:
                total = progress.bytes_total
                show(f"pulling {self._run.image}", progress.bytes_done / total if total else None)

            self._services.on_pull = pulled
            while not self._services.record.row.create_asked and not self._over.wait(_LOOK_S):
                self._heed()

    def watch(self, output: TextIO) -> None:
        """Return when it has ended, is cleaned away, and all its output is printed."""
        printing = threading.Thread(target=self._print_log, args=(output,), name="log", daemon=True)
        printing.start()
        self._wait()
        while not self._printed.wait(_LOOK_S):
            if self._heeded < len(self._interrupts):
                self._print_no_more(printing, output)
                raise CliError("interrupted: the op has ended; not all its output is printed", ExitCode.INTERRUPTED)

    def end(self) -> None:
        """Return when nothing of it is left, also where watching it broke off, as by a terminal that is gone."""
        if self._heeded >= _LEAVES_AT:
            return
        if not self._over.is_set() and not self._interrupts:
            self._interrupts.append(signal.SIGHUP)
        self._wait()

    def _wait(self) -> None:
        while not self._over.wait(_LOOK_S):
            self._heed()

    def _heed(self) -> None:
        """The first interrupt stops the op, the second kills it; the third leaves it, as when its engine is away."""
        if self._heeded < len(self._interrupts):
            self._heeded += 1
            if self._heeded == 1:
                self._stop()
            elif self._heeded < _LEAVES_AT:
                threading.Thread(target=self._kill, name="kill", daemon=True).start()
            else:
                raise CliError(f"left behind: {self._left()}", ExitCode.INTERRUPTED)

    def _left(self) -> str:
        name = self._services.record.row.name
        in_docker = self._services.record.row.backend == "docker"
        return f"container {name}; remove it: docker rm -f {name}" if in_docker else f"the processes of {name}"

    def _stop(self) -> None:
        from gyoza_tui.worker.journal.row import Intent

        self._services.record.update(intent=Intent.CANCEL, intent_note="interrupted")
        self._services.interrupt.set()
        self._services.wake.set()
        saying = threading.Thread(
            target=say, args=("stopping the op; Ctrl-C again kills it, a third leaves it",), name="say", daemon=True
        )
        saying.start()
        saying.join(_SAID_S)

    def _print_log(self, output: TextIO) -> None:
        """Secrets are masked."""
        from gyoza_tui.cli.printing.live_log import print_log
        from gyoza_tui.worker.op_output.log_spool import SpoolReader
        from gyoza_tui.worker.op_output.redaction import redact_pieces

        pieces = SpoolReader(self._services.spool.path).follow(self._over.is_set)
        try:
            print_log(redact_pieces(pieces, self._run.secret_env.values()), output)
        finally:
            self._printed.set()

    def _print_no_more(self, printing: threading.Thread, output: TextIO) -> None:
        """A write that nobody reads is woken by a signal that is heard, and begins anew, to nowhere."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
        assert printing.ident is not None
        with suppress(ProcessLookupError):  # it has just printed the last of it
            signal.pthread_kill(printing.ident, self._interrupts[-1])
        self._printed.wait()

    def _kill(self) -> None:
        from gyoza_tui.backends.base import BackendError

        self._services.stop_grace_s = 0.0
        if (handle := self._services.record.row.handle) is not None:
            try:
                self._services.backend.stop(handle, 0.0)
            except BackendError as error:
                say(str(error))

    def ended(self) -> OpRun:
        """As a server would tell it."""
        from datetime import UTC, datetime

        from gyoza_tui.models.runs import SECRET_SHOWN, ExecutionSummary
        from gyoza_tui.models.states import EventType, RunState
        from gyoza_tui.worker.journal.row import Outcome

        row = self._services.record.row
        completed = row.outcome is Outcome.COMPLETED
        ended_at = (row.exit.finished_at if row.exit else None) or self._services.clock.utc().timestamp()
        events = _record(self._services).timeline
        said = [event.msg for event in events if event.type is EventType.PROGRESS]
        summary = ExecutionSummary(
            started_at=None if row.started_at is None else datetime.fromtimestamp(row.started_at, UTC),
            duration_ms=max(0, round(1000 * (ended_at - row.started_at))) if row.started_at is not None else None,
            error_message=None if completed else row.outcome_note,
            gpu_id=self._services.gpu.index if self._services.gpu else None,
        )
        changes = {
            "state": RunState.COMPLETED if completed else RunState.FAILED,
            "outputs": self._ctx.outputs,
            "progress": 100 if completed else said[-1] if said else 0,
            "events": events,
            "secret_env": dict.fromkeys(self._run.secret_env, SECRET_SHOWN),
            "execution_summary": summary,
            "updated_at": datetime.now(UTC),
        }
        return self._run.model_copy(update=changes)

    def _go(self) -> None:
        from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline

        try:
            Pipeline().run(self._ctx)
        except Exception:
            self._clear_away()  # the record tells why
        finally:
            self._over.set()

    def _clear_away(self) -> None:
        """What a pipeline that broke off in its last step has left: no later start does it."""
        row = self._services.record.row
        if row.create_asked and not row.cleaned:
            self._services.remove_attempt()


def _record(services: Services) -> ScriptRecord:
    from gyoza_tui.worker.execution_pipeline.script import ScriptRecord

    assert isinstance(services.record, ScriptRecord)
    return services.record


def _context(run: OpRun, services: Services) -> ExecutionContext:
    from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext

    return ExecutionContext(
        oprun_id=run.id,
        image=run.image,
        constraints=run.constraints.model_dump(),
        inputs=run.inputs,
        volumes=run.volumes,
        services=services,
    )
