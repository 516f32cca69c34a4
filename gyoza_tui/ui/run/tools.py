"""What is done with a run beside the event loop: each ends in a toast that says what came of it."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from textual.screen import Screen
from textual.widget import Widget

from gyoza_tui.ui import saved_logs
from gyoza_tui.ui.background import Work
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.toasts import say
from gyoza_tui.ui.trouble import in_words
from gyoza_tui.ui.tty import clipboard
from gyoza_tui.ui.tty.suspension import NoTerminalError, lend_terminal
from gyoza_tui.ui.widgets.log_view import LogView, TooMuch
from gyoza_tui.worker.view.control import ControlError, WorkerControl
from gyoza_tui.worker.view.snapshot import Outcome, RunView

_TMUX_S: Final = 5.0


def selected_log(screen: Screen[Any]) -> LogView | None:
    """The log in which text is selected."""
    logs = (widget for widget in screen.selections if isinstance(widget, LogView))
    return next((log for log in logs if log.text_selection is not None), None)


def selected_text(screen: Screen[Any]) -> Work | None:
    """What copies the text that is selected; None: none is."""
    if log := selected_log(screen):
        return partial(copy_from_log, log)
    text = screen.get_selected_text()
    return partial(copy, screen, text) if text else None


async def copy_from_log(log: LogView) -> None:
    try:
        text = await log.selected_text()
    except TooMuch as error:
        say(log, f"not copied: {error}; s saves the log", "warning")
    except (ControlError, KeyError) as error:
        say(log, f"not copied: {_words(error)}", "warning")
    else:
        await copy(log, text)


async def copy(node: Widget, text: str) -> None:
    try:
        if clipboard.in_tmux():
            said = await aside(partial(clipboard.by_tmux, text))
        else:
            said = clipboard.by_terminal(text, node.app.copy_to_clipboard)
    except clipboard.CopyError as error:
        say(node, str(error), "warning")
    else:
        say(node, said)


def unseen(view: RunView) -> bool:
    """Whether it failed, and nobody has looked at it."""
    return view.outcome is Outcome.FAILED and not view.seen


async def mark_seen(control: WorkerControl, view: RunView) -> None:
    with suppress(ControlError, KeyError):
        await aside(partial(control.seen, view.key))


async def retry(node: Widget, control: WorkerControl, run_id: str) -> None:
    try:
        await aside(partial(control.retry, run_id))
    except (ControlError, KeyError) as error:
        say(node, _words(error), "error")
    else:
        say(node, f"{run_id} is queued again")


async def freeze(node: Widget, run: RunView, call: Callable[[int], None]) -> None:
    """Or thaw; what comes of it shows in the run's phase."""
    try:
        await aside(partial(call, run.key))
    except (ControlError, KeyError) as error:
        say(node, _words(error), "error")


async def save_log(node: Widget, control: WorkerControl, run: RunView) -> None:
    def save() -> Path:
        return saved_logs.save(control.log_bytes(run.key), _op(run), run.run_id, Path.cwd())

    try:
        path = await aside(save)
    except (ControlError, KeyError, OSError) as error:
        say(node, f"the log is not saved: {_words(error)}", "error")
    else:
        say(node, f"saved {path}")


async def page_log(node: Widget, control: WorkerControl, run: RunView) -> None:
    try:
        pager = shlex.split(os.environ.get("PAGER", "")) or ["less", "-R"]
        path = await aside(lambda: saved_logs.for_pager(control.log_bytes(run.key)))
    except (ControlError, KeyError, OSError, ValueError) as error:
        say(node, f"no pager: {_words(error)}", "error")
        return
    try:
        await lend_terminal(node.app, [*pager, str(path)])
    except NoTerminalError as error:
        say(node, f"no pager: {error}", "error")
    finally:
        path.unlink(missing_ok=True)


async def open_shell(node: Widget, control: WorkerControl, run: RunView) -> None:
    try:
        argv = await aside(partial(control.shell, run.key))
        if clipboard.in_tmux():
            await aside(partial(_split, argv))
        elif code := await lend_terminal(node.app, argv):
            say(node, f"the shell ended with exit {code}", "warning")
    except (ControlError, KeyError, NoTerminalError, OSError, subprocess.SubprocessError) as error:
        say(node, f"no shell: {_words(error)}", "error")


def _split(argv: tuple[str, ...]) -> None:
    """Beside our own pane, whatever window is looked at now."""
    ours = os.environ.get("TMUX_PANE")
    subprocess.run(
        ("tmux", "split-window", *(("-t", ours) if ours else ()), *argv),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TMUX_S,
        check=True,
    )


def _op(run: RunView) -> str:
    return run.op_definition or run.image


def _words(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr.decode(errors="replace")).strip()
    return in_words(error)
