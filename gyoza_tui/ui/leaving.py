"""What the app says when it is over: to `host.py`, which ran it."""

from __future__ import annotations

from enum import StrEnum


class Leave(StrEnum):
    """Why the app ended; its return value. None: it was ended from outside."""

    BACKGROUND = "background"
    """The worker goes on without a screen."""
    ENDED = "ended"
    """The worker was asked to end."""
