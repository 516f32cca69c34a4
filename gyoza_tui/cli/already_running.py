"""`gyoza-tui` where its worker runs already: the screen of that one instead, if the person wants it."""

from __future__ import annotations

import gc
import shlex
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.cli.terminal import agreed, say

if TYPE_CHECKING:
    from gyoza_tui.cli.worker import Mode
    from gyoza_tui.settings import Settings
    from gyoza_tui.ui.options import UiOptions
    from gyoza_tui.worker.control_socket.client import RemoteControl

_WHERE: Final = ("worker_id", "state_dir", "env_file")
"""Flags by which a worker is found."""


def attach_instead(root: Path, settings: Settings, flags: dict[str, Any], mode: Mode, ui: UiOptions | None) -> ExitCode:
    """Ask, and attach. CliError where no person can be asked, for a no, and where the worker does not listen."""
    from gyoza_tui.cli import local_workers, screen
    from gyoza_tui.worker.state_dir import holder

    gc.enable()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    runs = f"worker {root.name} runs here already ({holder.holder(root)})"
    with closing(local_workers.reached(settings, root.name)) as control:
        if ui is not None and not mode.bounds.end_by_themselves:
            if left_out := list(_not_applied(settings, _settings_of(control), flags, mode)):
                say(f"gyoza-tui: not applied to the worker that runs: {', '.join(left_out)}")
            if agreed(f"{runs}: attach to its screen?", by_enter=True):
                return screen.attach(control, ui)
    raise usage(
        f"{runs}: `{_command(root, flags)}` opens its screen. Or start a second worker with another --worker-id"
    )


def _settings_of(control: RemoteControl) -> dict[str, Any]:
    from gyoza_tui.worker.view.control import ControlError

    try:
        return control.settings()
    except ControlError as error:
        raise CliError(f"{control.root.name}: {error}") from None


def _command(root: Path, flags: dict[str, Any]) -> str:
    where = ["--state-dir", str(flags["state_dir"])] if flags.get("state_dir") else []
    return shlex.join(["gyoza-tui", "attach", root.name, *where])


def _not_applied(settings: Settings, running: dict[str, Any], flags: dict[str, Any], mode: Mode) -> Iterator[str]:
    """Flags that were typed and that the running worker does not have."""
    wanted = settings.model_dump(mode="json")
    for name, value in flags.items():
        if value is not None and name not in _WHERE and not name.startswith("ui_") and wanted[name] != running[name]:
            yield f"--{'server' if name == 'server_url' else name.replace('_', '-')}"
    if mode.local and not _is_local(settings):
        yield "--local"
    yield from (f"--{name}" for name, typed in (("demo", mode.demo), ("new-journal", mode.new_journal)) if typed)


def _is_local(settings: Settings) -> bool:
    """Whether the worker of that name has a server of its own."""
    from gyoza_tui.own_server import files_of_worker, own_server
    from gyoza_tui.worker_dirs import worker_dir

    return own_server(files_of_worker(worker_dir(settings.state_dir, settings.worker_id)).announcement(0)) is not None
