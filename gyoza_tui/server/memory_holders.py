"""Which waiting runs to give back, so that a child for which one waits has the memory that it needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.server.room import Need, Room


class Holder(NamedTuple):
    """A run that waits for its children, and holds its memory and its GPU meanwhile."""

    run_id: str
    worker_id: str
    constraints: Constraints
    started_at: int
    may_go: bool
    """Whether it can be given back."""


def in_its_way(need: Need, own: frozenset[str], rooms: Iterable[Room], holders: list[Holder]) -> list[Holder]:
    """The fewest that have to go; none where there is room beside them, or where that would not help.

    `rooms` are the workers as if no run ran on them: runs that do not wait end by themselves, or begin to wait.
    `own`: workers at which a run waits for this one.
    """
    able = []
    for room in rooms:
        worker = _Worker(room, need, child=room.worker_id in own)
        if worker.could_take_it:
            held = [each for each in holders if each.worker_id == room.worker_id]
            if worker.has_room(held):
                return []
            able.append(worker.least(held))
    return min(filter(None, able), key=len, default=[])


class _Worker:
    def __init__(self, room: Room, need: Need, *, child: bool) -> None:
        self._room = room
        self._need = need
        self._child = child

    @property
    def could_take_it(self) -> bool:
        return self._room.has_room(self._need, child=self._child)

    def has_room(self, staying: list[Holder]) -> bool:
        """Beside these and no other run."""
        room = self._room.copy()
        for each in staying:
            room.take_memory(each.constraints)
        return room.has_room(self._need, child=self._child)

    def least(self, holders: list[Holder]) -> list[Holder]:
        """The youngest that suffice, without those whose going changes nothing; none where all are too few."""
        staying, going = list(holders), list[Holder]()
        for each in sorted((each for each in holders if each.may_go), key=lambda each: -each.started_at):
            if self.has_room(staying):
                break
            staying.remove(each)
            going.append(each)
        if not self.has_room(staying):
            return []
        for each in reversed(going.copy()):
            if self.has_room([*staying, each]):
                staying.append(each)
                going.remove(each)
        return going
