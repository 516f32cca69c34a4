"""The open waits of one attempt: which may be answered, and what becomes of the attempt's slot meanwhile.

An attempt waits while it has an open wait that cannot be answered. The last of them is answered through the gate; one
beside which another stays open is answered at once, for the attempt goes on waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import Final, Protocol

from gyoza_tui.models.states import RunState
from gyoza_tui.worker.op_channel.messages import Until

WAITS_MAX: Final = 64
_COUNTED_MAX: Final = 10_000
"""Names that are compared to count the children of several waits, each time that one ends."""


class WaitingRuns(Protocol):
    """What takes and gives slots. No method waits."""

    def begin(self, key: int, left: int, of: int) -> None:
        """The attempt waits, for `left` of `of` children: it gives up its slot. Again: only the numbers are others."""

    def count(self, key: int, left: int) -> None:
        """It waits for that many by now."""

    def come_back(self, key: int, go_on: Callable[[], None]) -> None:
        """A wait of it is to be answered: `go_on` is called, by any thread, once it has a slot again."""

    def is_frozen(self, key: int) -> bool:
        """Whether its op does nothing now."""

    def hung_up(self, key: int) -> None:
        """It has no open wait any more and was not answered: it has a slot again, whatever waits for one."""


class OpenWait:
    """One connection's. It stays, without being open, between its answer and the message that it goes on."""

    def __init__(self, children: Iterable[str]) -> None:
        self.pending = set(children)
        self.of = len(self.pending)
        self.until = Until.ALL_COMPLETED
        self.ended: dict[str, RunState] = {}
        """Children that have ended and were not named in an answer."""
        self._has_exception = False
        self.answer: Callable[[], None] = lambda: None
        self.timed_out = False

    def note(self, child: str, state: RunState) -> bool:
        """Whether it waited for that child."""
        if child not in self.pending:
            return False
        self.pending.discard(child)
        self.ended[child] = state
        self._has_exception |= state is not RunState.COMPLETED
        return True

    def take_ended(self) -> dict[str, RunState]:
        """For an answer that names them."""
        ended, self.ended, self._has_exception = self.ended, {}, False
        return ended

    @property
    def is_ready(self) -> bool:
        """Whether it is to be answered."""
        if not self.pending or self.timed_out:
            return True
        match self.until:
            case Until.FIRST_COMPLETED:
                return bool(self.ended)
            case Until.FIRST_EXCEPTION:
                return self._has_exception
            case Until.ALL_COMPLETED:
                return False


class Waits:
    """Of one attempt; in the loop's thread alone."""

    def __init__(
        self,
        key: int,
        waiting_runs: WaitingRuns,
        call: Callable[[Callable[[], None]], None],
        changed: Callable[[], None],
        *,
        waiting: bool,
    ) -> None:
        """`call` is the loop's; `changed` is called when what is waited for may have changed.

        `waiting`: the attempt has waited since before this worker started.
        """
        self._key = key
        self._runs = waiting_runs
        self._call = call
        self._changed = changed
        self._waiting = waiting
        self._returns = 0
        """Which return is under way; 0: none."""
        self._last_return = 0
        self._open: list[OpenWait] = []
        self.keeps_slot = False
        """Whether nothing can report the ends of children in time: then no slot is given up."""

    @property
    def are_open(self) -> bool:
        return bool(self._open)

    def pending(self) -> Set[str]:
        """The children that are waited for."""
        return set().union(*(wait.pending for wait in self._open))

    def open(self, wait: OpenWait) -> None:
        """It has been looked which of its children have ended, or that takes too long: the rest is worth a slot."""
        if wait not in self._open:
            self._open.append(wait)
        self.settle()

    def note(self, child: str, state: RunState) -> None:
        """The child has ended; `settle` follows."""
        for wait in self._open:
            wait.note(child, state)

    def time_is_over(self, wait: OpenWait) -> None:
        """Whether it was open by now or not."""
        wait.timed_out = True
        self.open(wait)

    def drop(self, wait: OpenWait) -> None:
        """Its connection is closed."""
        if wait in self._open:
            self._open.remove(wait)
            self._give_up()
            self.settle()

    def forget(self) -> None:
        """The attempt has ended."""
        self._open, self._waiting, self._returns = [], False, 0

    def give_up(self) -> None:
        """The op of an attempt that waited before this worker started has not said that it still waits."""
        self._give_up()
        self._changed()

    def settle(self) -> None:
        """Answer what may be answered, and have the slot given up or taken back."""
        self._settle([wait for wait in self._open if wait.is_ready])
        self._changed()

    def _settle(self, ready: list[OpenWait]) -> None:
        if not self._waiting:
            self._answer(ready)
            if self._open and not self._waiting and not self.keeps_slot:
                self._waiting = True
                self._runs.begin(self._key, self._left, self._of)
        elif len(ready) < len(self._open):
            self._answer(ready)
            if self._open and not self._returns:
                self._runs.count(self._key, self._left)
        elif ready and not self._returns:
            self._last_return += 1
            self._returns = number = self._last_return
            self._runs.come_back(self._key, lambda: self._call(lambda: self._is_back(number)))

    def _give_up(self) -> None:
        """The attempt does not wait any more where no wait is left."""
        if self._waiting and not self._open:
            self._waiting, self._returns = False, 0
            self._runs.hung_up(self._key)

    def _is_back(self, number: int) -> None:
        if number == self._returns:
            self._waiting, self._returns = False, 0
            self.settle()

    def _answer(self, ready: list[OpenWait]) -> None:
        for wait in ready:
            if wait in self._open:  # an answer may have let the op's next line be taken
                self._open.remove(wait)
                wait.answer()

    @property
    def _left(self) -> int:
        """Where several waits name very many, those of the longest."""
        numbers = [len(wait.pending) for wait in self._open]
        return max(numbers) if len(numbers) == 1 or sum(numbers) > _COUNTED_MAX else len(self.pending())

    @property
    def _of(self) -> int:
        return max(self._left, *(wait.of for wait in self._open), 0)
