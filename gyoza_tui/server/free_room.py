"""What one worker has free, kept until one of its rows or its report changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.server.room import Need, Room
from gyoza_tui.server.server_time import Micros


class Counted(NamedTuple):
    """An unreleased attempt."""

    constraints: Constraints
    backend: str
    started_at: Micros | None
    alone_s: int
    waits: bool
    """For its children: it has neither a slot nor a processor."""


class Free:
    """What one worker has free, as its rows were last read."""

    def __init__(self, counted: list[Counted], room: Room) -> None:
        self.counted = counted
        self.room = room
        """Never changed."""
        self._unfit: frozenset[str] = frozenset()
        self.lasting = not any(each.alone_s for each in counted)
        """Whether only another row changes it; an attempt that starts alone is alone for some time."""

    def fitting(self, needs: Mapping[str, Need], texts: frozenset[str]) -> set[str]:
        """Those of the needs, by their `texts`, that it has room for. What has no room is not looked at again."""
        found = {text for text in texts - self._unfit if self.room.fits(needs[text], child=True)}
        self._unfit = texts - found
        return found
