"""What the app is told at its start, and never reads from anywhere else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

SNAPSHOT_S: Final = 0.5
LOG_S: Final = 0.1


class UiClock(Protocol):
    """The one clock of all that the screen shows. A test's stands still, and calls the ticks itself."""

    ticking: bool
    """Whether the app sets its timers."""

    def utc(self) -> datetime: ...

    def monotonic(self) -> float: ...

    @property
    def zone(self) -> tzinfo | None:
        """Of the times shown; None: the machine's."""


class WallClock:
    ticking = True
    zone: tzinfo | None = None

    def utc(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class UiOptions:
    """What the app is told by whoever starts it."""

    ascii: bool = False
    """No character above 0x7e may reach the terminal."""
    mouse: bool = True
    theme: str | None = None
    keymap: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Action id to keys, comma-separated, as the user wants them."""
    to_submit: str = ""
    """The command that submits a run to this worker's server."""
    theme_file: Path | None = None
    """Where a theme that was chosen on the screen is kept; None: nowhere."""
    attached: bool = False
    """The worker is another process."""
    clock: UiClock = field(default_factory=WallClock)
