"""Runs the app beside a worker, and outlives it.

However the app ends, by exit, by an exception or with its terminal, no duty and no run notices: the process goes on
headless. When the worker ends, so does the screen.
"""

from __future__ import annotations

import asyncio
import gc
import math
import select
import signal
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, NamedTuple, NoReturn, Protocol

from gyoza_tui.ui.hosted_app import HostedApp
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.tty.alarm import Alarm
from gyoza_tui.ui.tty.terminal import Terminal
from gyoza_tui.worker.view.control import WorkerControl

CLOSE_S: Final = 1.0
"""How long an app that was asked to close may take; then the terminal is taken from it."""
STUCK_S: Final = 2.0
"""How long the worker's end waits for an app that holds the main thread."""
AGAIN_S: Final = 10.0
"""Two crashes within this time: no third screen."""
_LOOK_S: Final = 0.5
_WORDS_MAX: Final = 200


class SteppingAside(Protocol):
    """What prints when there is no screen."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Hosted(Protocol):
    """A worker that has begun."""

    @property
    def control(self) -> WorkerControl: ...

    @property
    def printer(self) -> SteppingAside: ...

    @property
    def log(self) -> Path:
        """Its own log; gets what would have disturbed the screen."""

    def serve(self) -> int:
        """Blocks until the worker has ended; the exit code."""

    def drawn(self) -> None:
        """The screen's first picture is out: what has let it go first may begin."""

    def say(self, text: str, level: Literal["info", "warning", "error"] = "info", **fields: str) -> None:
        """A notice: in the log, in the app, on the terminal when there is no screen. Never waits."""

    def abandon(self, code: int) -> NoReturn:
        """End the process from another thread than the main one."""


def run_with_screen(worker: Hosted, options: UiOptions) -> int:
    """Show the app until the worker ends; the worker's exit code.

    Call it in the main thread, on a controlling terminal whose foreground we are. SIGHUP is handled here, all other
    signals are the worker's.
    """
    return _Host(worker, options).run()


class _Shown(NamedTuple):
    """How a screen ended."""

    leave: Leave | None = None
    error: BaseException | None = None


class _Host:
    def __init__(self, worker: Hosted, options: UiOptions) -> None:
        self._worker = worker
        self._options = options
        self._terminal = Terminal(worker.log)
        self._alarm = Alarm()
        self._app: HostedApp | None = None
        self._leave: Callable[[], object] = _nothing
        """Close the screen that is shown; from a signal handler."""
        self._crashed_at = -math.inf
        self._code = 1
        self._ended = threading.Event()
        self._returning = threading.Event()

    def run(self) -> int:
        signal.signal(signal.SIGHUP, self._hang_up)
        threading.Thread(target=self._serve, name="serve", daemon=True).start()
        while self._opens_again(self._show()):
            pass
        self._ended.wait()
        left = len(self._worker.control.snapshot().runs)
        there = f"; {left} of its runs {'is' if left == 1 else 'are'} left to its next start" if left else ""
        self._worker.say(f"the worker has ended, exit code {self._code}{there}; its log is {self._worker.log}")
        self._returning.set()
        return self._code

    def _serve(self) -> None:
        try:
            self._code = self._worker.serve()
        except Exception as error:
            self._worker.say(f"the worker failed: {_words(error)}", "error", traceback=_told(error))
        self._ended.set()
        self._alarm.ring()
        if not self._returning.wait(STUCK_S):
            if self._app is not None:
                self._app.let_go()
            self._worker.abandon(self._code)

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        """A terminal that is still there was not hung up: somebody wants the screen closed."""
        if self._terminal.lost:
            self._alarm.ring()
        else:
            self._leave()

    def _show(self) -> _Shown:
        """One screen, from its begin to its end."""
        self._worker.printer.pause()
        self._terminal.take()
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(self._tell_stray)
        try:
            return loop.run_until_complete(self._shown())
        except Exception as error:
            return _Shown(error=error)
        finally:
            self._app, self._leave = None, _nothing
            loop.close()
            gc.enable()
            self._terminal.give_back()
            if not self._terminal.lost:
                self._worker.printer.resume()

    async def _shown(self) -> _Shown:
        loop = asyncio.get_running_loop()
        app = self._app = HostedApp(self._worker.control, self._options, self._worker.drawn)
        self._leave = partial(loop.call_soon_threadsafe, app.exit, Leave.BACKGROUND)
        loop.add_reader(self._alarm, self._alarmed, loop, app)
        running = loop.create_task(app.run_async(mouse=self._options.mouse))
        closing = loop.create_task(app.closing.wait())
        await asyncio.wait((running, closing), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((running,), timeout=CLOSE_S)
        loop.remove_reader(self._alarm)
        closing.cancel()
        await asyncio.wait((closing,))
        if not running.done():
            app.let_go()
        elif error := running.exception():
            return _Shown(error=error)
        return _Shown(app.return_value, app.error)

    def _alarmed(self, loop: asyncio.AbstractEventLoop, app: HostedApp) -> None:
        loop.remove_reader(self._alarm)
        app.exit()

    def _tell_stray(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that ends nothing, as of a callback."""
        error = context.get("exception")
        told = _told(error) if isinstance(error, BaseException) else ""
        self._worker.say(f"in the screen: {context.get('message')}", "warning", traceback=told)

    def _opens_again(self, shown: _Shown) -> bool:
        """Whether somebody wants the next screen; waits for that."""
        if self._ended.is_set():
            return False
        if self._terminal.lost:
            self._worker.say("the terminal is gone; the worker goes on without", "warning")
            return False
        if shown.error is not None:
            twice = time.monotonic() - self._crashed_at < AGAIN_S
            self._crashed_at = time.monotonic()
            offer = f"twice within {AGAIN_S:g} s: it stays closed" if twice else "Enter opens it again"
            self._worker.say(
                f"the screen broke, the worker goes on: {_words(shown.error)}; more in {self._worker.log}. {offer}",
                "error",
                traceback=_told(shown.error),
            )
            return not twice and self._enter_pressed()
        if shown.leave is Leave.ENDED:
            return False
        self._worker.say("the screen is closed, the worker goes on. Enter opens it again")
        return self._enter_pressed()

    def _enter_pressed(self) -> bool:
        """Waits for it; not when the worker has ended or the terminal is gone meanwhile."""
        while not self._terminal.lost:
            watched: list[Alarm | Terminal] = [self._alarm]
            if self._terminal.ours:
                watched.append(self._terminal)
            ready, _, _ = select.select(watched, [], [], _LOOK_S)
            if self._alarm in ready:
                return False
            if self._terminal in ready and self._terminal.ours and b"\n" in self._terminal.typed():
                return True
        return False


def _nothing() -> None:
    """There is no screen to close."""


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_WORDS_MAX]


def _told(error: BaseException) -> str:
    """Its traceback without local variables, which may be secrets."""
    return "".join(traceback.format_exception(error))
