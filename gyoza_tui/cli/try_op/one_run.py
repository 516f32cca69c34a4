"""One run through the worker's pipeline in this process, watched by a person."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.cli.terminal import say
from gyoza_tui.cli.try_op.attempt import WatchedAttempt
from gyoza_tui.cli.try_op.no_channel import NoChannel

if TYPE_CHECKING:
    from gyoza_tui.models.hardware import GpuInfo
    from gyoza_tui.models.runs import OpRun
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.execution_pipeline.services import Services

_GPU_S: Final = 5.0


def carry_out(run: OpRun, settings: Settings, *, as_json: bool) -> OpRun:
    """The run as it ended; its output is printed as it comes. CliError when it cannot begin, or was interrupted."""
    services = _services(run, settings)
    with _interrupts() as interrupts:
        attempt = WatchedAttempt(run, services, interrupts)
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
    from gyoza_tui.cli.printing import run_words
    from gyoza_tui.cli.printing.run_end import print_end
    from gyoza_tui.cli.terminal import out_json
    from gyoza_tui.models.states import RunState

    if as_json:
        out_json(run_words.as_json(run))
    else:
        print_end(run)
    if run.state is not RunState.COMPLETED:
        raise CliError(_fault(run))


def _fault(run: OpRun) -> str:
    """Why it failed; where its own files had no room here, what else helps."""
    import tempfile

    from gyoza_tui.cli.printing import run_words
    from gyoza_tui.models.failures import FailureReason

    words = run.execution_summary.error_message or run.state.value
    fault = run_words.failure(run.events)
    if fault is not None and fault.reason is FailureReason.DISK_FULL and tempfile.gettempdir() in fault.message:
        return f"{words}, or name a directory of another disk by TMPDIR"
    return words


def _services(run: OpRun, settings: Settings) -> Services:
    from gyoza_tui.backends.base import BackendError
    from gyoza_tui.backends.registry import BACKENDS
    from gyoza_tui.models.images import ImageRef
    from gyoza_tui.worker.building import image_pulls
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
    _clear_abandoned(services, settings)
    if run.op_definition is None and "://" not in run.image and not _is_here(services, image.name):
        say(f"there is no directory {run.image} here: taken as an image, to be pulled")
    services.pulls = image_pulls(settings, services.clock, retry_s=())  # who waits here can ask again
    services.warn = say
    services.keep_logs = False
    services.channel = NoChannel()
    services.gpu = _gpu(run)
    return services


def _clear_abandoned(services: Services, settings: Settings) -> None:
    """What was left by a `run` that was killed: nobody else comes for it."""
    from gyoza_tui.backends.base import BackendError, Label
    from gyoza_tui.worker.execution_pipeline import script_home
    from gyoza_tui.worker.state_dir import orphans

    try:
        for stray in filter(orphans.orphaned, services.backend.find({Label.WORKER: settings.worker_id})):
            orphans.remove(services.backend, stray, settings.stop_grace_s)
            say(f"removed {stray.name}, left by a process that was killed")
    except BackendError as error:
        raise CliError(str(error)) from None
    for name in script_home.clear_abandoned(settings):
        say(f"removed {name}, left by a process that was killed")


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
