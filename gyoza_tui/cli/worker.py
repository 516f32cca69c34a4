"""`gyoza-tui` itself: the worker of this machine, with its own server and a demo if asked."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from gyoza_tui.cli.failures import ExitCode, usage
from gyoza_tui.cli.terminal import say

if TYPE_CHECKING:
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.runner import Worker
    from gyoza_tui.worker.state_dir import StateDir


class Mode(NamedTuple):
    no_ui: bool
    new_journal: bool
    local: bool
    demo: bool


def serve_as_worker(settings_flags: dict[str, Any], mode: Mode) -> NoReturn:
    """Does not return: the process ends with the worker, without waiting for threads that still wait for others."""
    if mode.demo and not mode.local:
        raise usage("--demo goes with --local: it is submitted to this machine's own server")
    if mode.local and settings_flags["server_url"] is not None:
        raise usage("--local starts a server of its own: leave out --server")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_early)  # until the worker's own
    try:
        settings = _settings(settings_flags)
        if not mode.no_ui:
            say("gyoza-tui: the terminal app is still to come; going on headless, as with --no-ui")
        code = _local(settings, mode) if mode.local else _worker(settings, mode.new_journal)
    except _StoppedEarly:
        code = ExitCode.DONE
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as in a process that was started without it
            stream.flush()
    os._exit(code)


class _StoppedEarly(BaseException):
    """A signal before the worker runs: there is nothing to drain, only to take down."""


def _stop_early(_number: int, _frame: FrameType | None) -> None:
    raise _StoppedEarly


def _settings(flags: dict[str, Any]) -> Settings:
    from gyoza_tui.settings import load

    return load(**flags)


def _worker(settings: Settings, new_journal: bool) -> int:
    return _made(settings, new_journal).run()


def _local(settings: Settings, mode: Mode) -> int:
    """The lock first: who does not get it starts nothing."""
    from gyoza_tui.settings import default_worker_id
    from gyoza_tui.worker.state_dir import StateDir, StateDirError

    try:
        state_dir = StateDir.open(settings.state_dir, settings.worker_id)
    except StateDirError as error:
        raise usage(str(error)) from None
    with ExitStack() as stack:
        from gyoza_tui.cli.local_server import LocalServer

        server = stack.enter_context(LocalServer(state_dir)).file
        settings = settings.model_copy(update={"server_url": server.url})
        named = "" if settings.worker_id == default_worker_id() else f" with --worker-id {settings.worker_id}"
        say(f"gyoza server at {server.url}; `gyoza-tui runs`, `submit`, `show` find it by themselves{named}")
        if mode.demo:
            return _demo(settings, mode.new_journal, state_dir, server.key)
        return _made(settings, mode.new_journal, state_dir, server.key).run()


def _demo(settings: Settings, new_journal: bool, state_dir: StateDir, key: str) -> int:
    from gyoza_tui.cli.demo import Demo

    demo = Demo(settings, state_dir, key)
    worker = _made(demo.settings, new_journal, state_dir, key)
    demo.begin(worker)
    code = worker.run()
    return demo.end(code)


def _made(
    settings: Settings, new_journal: bool, state_dir: StateDir | None = None, api_key: str | None = None
) -> Worker:
    from gyoza_tui.worker.journal_file import JournalError
    from gyoza_tui.worker.runner import Worker, WorkerError
    from gyoza_tui.worker.state_dir import StateDirError

    try:
        return Worker(settings, state_dir=state_dir, api_key=api_key, new_journal=new_journal)
    except (WorkerError, StateDirError, JournalError) as error:
        raise usage(str(error)) from None
