"""What a person has the worker do, off the event loop: a worker in another process may take its time."""

from __future__ import annotations

from collections.abc import Callable

from textual.widget import Widget

from gyoza_tui.ui.keys import refusals
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.toasts import say
from gyoza_tui.worker.view.control import ControlError, WorkerControl


async def command(node: Widget, control: WorkerControl, call: Callable[[], object]) -> bool:
    """Whether it was done; why it was not is said. Nothing is sent to a worker that is silent or has ended."""
    try:
        if why := refusals.lost(control.contact()):
            raise ControlError(why)
        await aside(call)
    except ControlError as error:
        say(node, str(error), "error")
        return False
    return True
