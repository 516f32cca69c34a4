"""How a duty does, as views see it."""

from __future__ import annotations

from typing import NamedTuple


class DutyStatus(NamedTuple):
    """Times are boot time."""

    name: str
    last_ok: float | None = None
    last_error: str | None = None
    """The last failure's words; kept after a success, `last_ok` tells which came later."""
    last_error_at: float | None = None
    next_try: float | None = None
    alive: bool = True
    """Whether its thread runs."""
    deaths: int = 0
    """How often its thread ended by an error; it is started again each time."""
