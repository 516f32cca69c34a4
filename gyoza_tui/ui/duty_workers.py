"""A worker's duty as a Textual worker: it follows the thread that the runtime started before the app."""

from __future__ import annotations

import asyncio
from typing import Final

from gyoza_tui.worker.view.control import WorkerControl

FOLLOWERS: Final = "worker"
"""The group of the tasks that follow duties."""
_LOOK_S: Final = 0.5


class DutyDied(Exception):
    """The duty's thread ended by an error; the runtime starts it again."""


async def follow(control: WorkerControl, name: str) -> None:
    """Go on as long as the duty's thread lives; DutyDied with its last words when it has died."""
    begun = _status_deaths(control, name)
    while _status_deaths(control, name) == begun:
        await asyncio.sleep(_LOOK_S)
    raise DutyDied(name)


def _status_deaths(control: WorkerControl, name: str) -> int:
    return next(duty.deaths for duty in control.duties() if duty.name == name)
