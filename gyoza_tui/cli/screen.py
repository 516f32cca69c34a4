"""Whether `gyoza-tui` opens its screen, and the worker on it."""

from __future__ import annotations

import locale
import os
import shlex
import shutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from gyoza_tui.cli.failures import ExitCode, usage

if TYPE_CHECKING:
    from gyoza_tui.settings import Settings
    from gyoza_tui.ui.options import UiOptions
    from gyoza_tui.worker.control_socket.client import RemoteControl
    from gyoza_tui.worker.notices.headless import Printer
    from gyoza_tui.worker.notices.notices import Level
    from gyoza_tui.worker.runner import Worker
    from gyoza_tui.worker.view.local_control import LocalControl

_NAME: Final = "gyoza-tui"
_OF_CONNECTION: Final = {
    "server_url": "--server",
    "worker_id": "--worker-id",
    "state_dir": "--state-dir",
    "api_key_file": "--api-key-file",
    "env_file": "--env-file",
}
_DEMO_RUN: Final = "chat lines=100 pause_s=0.1"
_DRAWN_S: Final = 1.0
"""How long the first beat lets the screen go first."""


def why_headless() -> str | None:
    """Why there can be no screen here; None: there can."""
    for stream, name in ((sys.stdin, "stdin"), (sys.stdout, "stdout"), (sys.stderr, "stderr")):
        if stream is None or not stream.isatty():
            return f"{name} is no terminal"
    if (term := os.environ.get("TERM", "")) in ("", "dumb", "unknown"):
        return f"TERM={term} cannot show one"
    try:
        if os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
            return "started in the background"
    except OSError:
        return "stdin is not this session's terminal"
    return None


def to_submit(flags: dict[str, Any], *, demo: bool) -> str:
    """What a person types in another terminal to submit a run to the server of a worker started with `flags`."""
    same = [[flag, str(flags[name])] for name, flag in _OF_CONNECTION.items() if flags.get(name) is not None]
    what = _DEMO_RUN if demo else "IMAGE -- COMMAND"
    return " ".join([_program(), "submit", *map(shlex.join, same), what])


def _program() -> str:
    """This program: by its name alone where the shell finds it by that."""
    program, found = Path(sys.argv[0]), shutil.which(_NAME)
    if program.name != _NAME or (found is not None and Path(found).resolve() == program.resolve()):
        return _NAME
    return shlex.quote(str(program))


def options(settings: Settings, command: str) -> UiOptions:
    """What the app is told; CliError for what the user's settings say of it and cannot be."""
    from gyoza_tui.ui import theme_file
    from gyoza_tui.ui.keys.users_keymap import KeymapError, check_keymap
    from gyoza_tui.ui.options import UiOptions
    from gyoza_tui.worker_dirs import worker_dir

    try:
        check_keymap(settings.ui_keymap)
    except KeymapError as error:
        raise usage(str(error)) from None
    _check_theme(settings.ui_theme)
    ascii_only = _ascii_is_safer() if settings.ui_ascii is None else settings.ui_ascii
    return UiOptions(
        ascii=ascii_only,
        mouse=settings.ui_mouse,
        theme=settings.ui_theme,
        keymap=settings.ui_keymap,
        to_submit=command,
        theme_file=worker_dir(settings.state_dir, settings.worker_id) / theme_file.NAME,
    )


def run(worker: Worker, ui: UiOptions) -> int:
    """All of the worker, with its screen; the exit code."""
    from gyoza_tui.ui.host import run_with_screen

    worker.signals.install()
    worker.printer.pause()
    try:
        worker.begin(first_beat_s=_DRAWN_S)
        return run_with_screen(_Hosted(worker), ui)
    finally:
        worker.close()


def attach(control: RemoteControl, ui: UiOptions) -> ExitCode:
    """The screen of a worker in another process, until it is left."""
    from dataclasses import replace

    from gyoza_tui.ui.attached import run_attached

    error = run_attached(control, replace(ui, attached=True))
    control.close()
    if error is None:
        return ExitCode.DONE
    print("the screen broke, the worker goes on:", file=sys.stderr)
    # without local variables, which may be secrets
    traceback.print_exception(error)
    return ExitCode.FAILED


class _Hosted(NamedTuple):
    """The worker as its host wants it."""

    worker: Worker

    @property
    def control(self) -> LocalControl:
        return self.worker.control

    @property
    def printer(self) -> Printer:
        return self.worker.printer

    @property
    def log(self) -> Path:
        return self.worker.parts.state_dir.worker_log

    def serve(self) -> int:
        return self.worker.serve()

    def drawn(self) -> None:
        self.worker.parts.wakes.beat.set()

    def say(self, text: str, level: Level = "info", **fields: str) -> None:
        self.worker.parts.notices.say(text, level, **fields)

    def abandon(self, code: int) -> NoReturn:
        self.worker.close()
        os._exit(code)


def _check_theme(name: str | None) -> None:
    from textual.theme import BUILTIN_THEMES

    from gyoza_tui.models.nearest import did_you_mean, nearest
    from gyoza_tui.ui.theme import THEMES

    names = [*(theme.name for theme in THEMES), *BUILTIN_THEMES]
    if name is not None and name not in names:
        raise usage(f"GYOZA_UI_THEME / ui_theme: there is no theme {name!a}{did_you_mean(nearest(name, names))}")


def _ascii_is_safer() -> bool:
    """NO_COLOR is set where terminals are plain, and read aloud; the console of Linux has few glyphs."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "linux":
        return True
    # not the preferred encoding: that is UTF-8 wherever Python makes it so, as with LC_ALL=C
    return locale.getencoding().lower().replace("-", "") != "utf8"
