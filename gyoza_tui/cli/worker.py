"""`gyoza-tui` itself: the worker of this machine, with its own server and a demo if asked."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from gyoza_tui.cli.failures import ExitCode, usage
from gyoza_tui.cli.flags.bound_flags import BoundFlags
from gyoza_tui.cli.terminal import say

if TYPE_CHECKING:
    from gyoza_tui.settings import Settings
    from gyoza_tui.ui.options import UiOptions
    from gyoza_tui.worker.runner import Worker
    from gyoza_tui.worker.state_dir.state_dir import StateDir


class Mode(NamedTuple):
    """What the flags say of the session; by default, as without any."""

    no_ui: bool = False
    new_journal: bool = False
    local: bool = False
    demo: bool = False
    bounds: BoundFlags = BoundFlags()


def serve_as_worker(settings_flags: dict[str, Any], mode: Mode) -> NoReturn:
    """Does not return: the process ends with the worker, without waiting for threads that still wait for others."""
    if mode.demo and not mode.local:
        raise usage("--demo goes with --local: it is submitted to this machine's own server")
    if mode.local and settings_flags.get("server_url") is not None:
        raise usage("--local starts a server of its own: leave out --server")
    mode.bounds.check()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_early)  # until the worker's own
    try:
        code = _session(settings_flags, mode)
    except _StoppedEarly:
        code = _never_begun(mode.bounds)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as in a process that was started without it
            stream.flush()
    os._exit(code)


class _StoppedEarly(BaseException):
    """A signal before the worker runs: there is nothing to drain, only to take down."""


def _stop_early(_number: int, _frame: FrameType | None) -> None:
    raise _StoppedEarly


def _never_begun(bounds: BoundFlags) -> int:
    """Who asked for no end in particular has got what was asked for."""
    if not bounds.end_by_themselves:
        return ExitCode.DONE
    say("gyoza-tui: stopped before the session began: nothing is done")
    return ExitCode.FAILED


class _Loaded(NamedTuple):
    """The settings of a session, and how they are read again."""

    settings: Settings
    flags: dict[str, Any]
    own: dict[str, Any] = {}  # noqa: RUF012 -- never changed
    """What the session lays over them."""

    def over(self, own: dict[str, Any]) -> _Loaded:
        return _Loaded(self.settings.model_copy(update=own), self.flags, self.own | own)

    def read(self) -> Settings:
        """Raises SettingsError."""
        from gyoza_tui.settings import load

        return load(**self.flags).model_copy(update=self.own)


def _session(flags: dict[str, Any], mode: Mode) -> int:
    from gyoza_tui.settings import load
    from gyoza_tui.worker.state_dir.state_dir import StateDir, StateDirError, StateDirInUse

    settings = load(**flags)
    ui = _ui(settings, flags, mode)
    try:
        state_dir = StateDir.open(settings.state_dir, settings.worker_id)
    except StateDirInUse as error:
        from gyoza_tui.cli.already_running import attach_instead

        return attach_instead(error.root, settings, flags, mode, ui)
    except StateDirError as error:
        raise usage(str(error)) from None
    loaded = _Loaded(settings, flags)
    return _local(loaded, mode, state_dir, ui) if mode.local else _served(_made(loaded, mode, state_dir), ui)


def _ui(settings: Settings, flags: dict[str, Any], mode: Mode) -> UiOptions | None:
    """Of the screen; None: there is none."""
    if mode.no_ui or mode.bounds.ticks is not None:
        return None
    from gyoza_tui.cli import screen

    if why := screen.why_headless():
        say(f"gyoza-tui: {why}: no screen, headless as with --no-ui")
        return None
    return screen.options(settings, screen.to_submit(flags, demo=mode.demo))


def _served(worker: Worker, ui: UiOptions | None) -> int:
    if ui is None:
        gc.freeze()  # what is loaded stays: looking through it for garbage would hold up the first beat
        gc.enable()
        return worker.run()
    from gyoza_tui.cli import screen

    return screen.run(worker, ui)


def _local(loaded: _Loaded, mode: Mode, state_dir: StateDir, ui: UiOptions | None) -> int:
    from gyoza_tui.settings import default_worker_id

    settings = loaded.settings
    tell = _Teller(ui is not None)
    with ExitStack() as stack:
        from gyoza_tui.cli.embedded_server.parent import LocalServer

        server = stack.enter_context(LocalServer(state_dir, tell, settings.secret_env_days))
        # the key of another server is not for this one, which announces its own
        loaded = loaded.over({"server_url": server.url, "api_key": None, "api_key_file": None})
        named = "" if settings.worker_id == default_worker_id() else f" with --worker-id {settings.worker_id}"
        tell(f"gyoza server at {server.url}; `gyoza-tui runs`, `submit`, `show` find it by themselves{named}")
        if mode.demo:
            return _demo(loaded, mode, state_dir, tell, ui)
        worker = _made(loaded, mode, state_dir)
        tell.through(worker)
        return _served(worker, ui)


def _demo(loaded: _Loaded, mode: Mode, state_dir: StateDir, tell: _Teller, ui: UiOptions | None) -> int:
    """Ends by itself; with a screen whoever looks at it ends it."""
    from gyoza_tui.cli.embedded_server.demo import Demo

    demo = Demo(loaded.settings, state_dir, tell)
    worker = _made(loaded.over(demo.own_settings), mode, state_dir)
    tell.through(worker)
    demo.begin(worker, drains=ui is None)
    code = _served(worker, ui)
    return demo.end(code) if ui is None else code


class _Teller:
    """Messages to the terminal; where that is the screen's, to the worker's notices, once there is a worker."""

    def __init__(self, screen: bool) -> None:
        self._screen = screen
        self._kept: list[str] = []
        self._say = self._kept.append if screen else say

    def __call__(self, text: str) -> None:
        self._say(text)

    def through(self, worker: Worker) -> None:
        if self._screen:
            self._say = worker.parts.notices.say
            for text in self._kept:
                self._say(text)


def _made(loaded: _Loaded, mode: Mode, state_dir: StateDir) -> Worker:
    from gyoza_tui.worker.journal.file import JournalError
    from gyoza_tui.worker.runner import Worker, WorkerError

    try:
        return Worker(
            loaded.settings,
            state_dir=state_dir,
            new_journal=mode.new_journal,
            bounds=mode.bounds.bounds(loaded.settings),
            duties=mode.bounds.duty_names,
            is_service=True,
            read_settings=loaded.read,
        )
    except (WorkerError, JournalError) as error:
        raise usage(str(error)) from None
