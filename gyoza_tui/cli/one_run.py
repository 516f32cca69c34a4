"""One run through the worker's pipeline in this process, watched by a person."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final, TextIO

from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.cli.terminal import say

if TYPE_CHECKING:
    from gyoza_tui.backends.base import PullProgress
    from gyoza_tui.models.hardware import GpuInfo
    from gyoza_tui.models.runs import OpRun
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.execution_pipeline.script import ScriptRecord
    from gyoza_tui.worker.execution_pipeline.services import Services
    from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext

_LOOK_S: Final = 0.1
_GPU_S: Final = 5.0
_LEAVES_AT: Final = 3
"""Interrupts. A worker's third, too, leaves what is running."""


def carry_out(run: OpRun, settings: Settings, *, as_json: bool) -> OpRun:
    """The run as it ended; its output is printed as it comes. CliError when it cannot begin, or was interrupted."""
    services = _services(run, settings)
    with _interrupts() as interrupts:
        attempt = _Attempt(run, services, interrupts)
        attempt.begin()
        try:
            attempt.watch_start()
            attempt.watch(sys.stderr if as_json else sys.stdout)
        finally:
            attempt.end()
    if attempt.cancelled:
        raise CliError("interrupted: the op is stopped, and nothing of it is left", ExitCode.INTERRUPTED)
    return attempt.ended()


def tell(run: OpRun, *, as_json: bool) -> None:
    """How it ended, and its outputs. CliError (exit 1) unless it is COMPLETED."""
    from gyoza_tui.cli import run_words
    from gyoza_tui.cli.run_end import print_end
    from gyoza_tui.cli.terminal import out_json
    from gyoza_tui.models.states import RunState

    if as_json:
        out_json(run_words.as_json(run))
    else:
        print_end(run)
    if run.state is not RunState.COMPLETED:
        raise CliError(run.execution_summary.error_message or run.state.value)


def _services(run: OpRun, settings: Settings) -> Services:
    from gyoza_tui.backends import BACKENDS
    from gyoza_tui.backends.base import BackendError
    from gyoza_tui.models.images import ImageRef
    from gyoza_tui.worker.assembly import image_pulls
    from gyoza_tui.worker.execution_pipeline.script import services_for

    image = ImageRef.parse(run.image)
    if image.backend not in BACKENDS:
        raise usage(f"{run.image}: nothing here runs {image.backend}:// images")
    try:
        services = services_for(run, settings, client=None)
    except ValueError as error:
        raise usage(str(error)) from None
    if (why := services.backend.refuses(image.name, run.volumes)) is not None:
        raise usage(why)
    try:
        services.backend.check()
    except BackendError as error:
        raise CliError(str(error)) from None
    if run.op_definition is None and "://" not in run.image and not _is_here(services, image.name):
        say(f"there is no directory {run.image} here: taken as an image, to be pulled")
    services.pulls = image_pulls(settings, services.clock, retry_s=())  # who waits here can ask again
    services.warn = say
    services.keep_logs = False
    services.gpu = _gpu(run)
    return services


def _is_here(services: Services, image: str) -> bool:
    from gyoza_tui.backends.base import BackendError

    try:
        return services.backend.image_id(image) is not None
    except BackendError as error:
        raise CliError(str(error)) from None


def _gpu(run: OpRun) -> GpuInfo | None:
    """The GPU that it asks for, or the first that is large enough. CliError when this machine has none."""
    from gyoza_tui.worker.hardware.nvml import Nvml

    need = run.constraints
    if not need.wants_gpu:
        return None
    nvml = Nvml()
    try:
        found = [gpu.info for gpu in nvml.read(_GPU_S).gpus]
    finally:
        nvml.close()
    for gpu in found:
        if need.gpu_id in (None, gpu.index) and (gpu.memory_total_mb or 0) >= (need.vram_mb or 0):
            return gpu
    wanted = f"GPU {need.gpu_id}" if need.gpu_id is not None else f"a GPU with {need.vram_mb} MB"
    raise CliError(f"the op needs {wanted}, and this machine has none")


class _Attempt:
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
        from gyoza_tui.worker.run_row import Outcome

        return self._services.record.row.outcome is Outcome.CANCELLED

    def begin(self) -> None:
        threading.Thread(target=self._go, name="run", daemon=True).start()

    def watch_start(self) -> None:
        """Return once there is something to run, or nothing will be."""
        from gyoza_tui.cli.bars import bar

        with bar(f"starting {self._run.image}", 1) as show:

            def pulled(progress: PullProgress) -> None:
                total = progress.bytes_total
                show(f"pulling {self._run.image}", progress.bytes_done / total if total else None)

            self._services.on_pull = pulled
            while not self._services.record.row.create_asked and not self._over.wait(_LOOK_S):
                self._heed()

    def watch(self, output: TextIO) -> None:
        """Return when it has ended, is cleaned away, and all its output is printed."""
        threading.Thread(target=self._print_log, args=(output,), name="log", daemon=True).start()
        self._wait()
        self._printed.wait()

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
        from gyoza_tui.worker.run_row import Intent

        say("stopping the op; Ctrl-C again kills it, a third leaves it")
        self._services.record.update(intent=Intent.CANCEL, intent_note="interrupted")
        self._services.interrupt.set()
        self._services.wake.set()

    def _print_log(self, output: TextIO) -> None:
        """Secrets are masked."""
        from gyoza_tui.cli.live_log import print_log
        from gyoza_tui.worker.log_spool import SpoolReader
        from gyoza_tui.worker.redaction import redact_pieces

        pieces = SpoolReader(self._services.spool.path).follow(self._over.is_set)
        try:
            print_log(redact_pieces(pieces, self._run.secret_env.values()), output)
        finally:
            self._printed.set()

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
        from gyoza_tui.worker.run_row import Outcome

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


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """The signals heard so far: Ctrl-C, and a SIGTERM or hang-up, which would leave the op behind."""
    heard: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    wanted = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # as below nohup
    before = {number: signal.signal(number, hear) for number in wanted}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
