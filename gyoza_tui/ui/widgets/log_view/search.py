"""What is looked for in a log: found from one line on in both directions, slice by slice."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

from gyoza_tui.worker.view.control import LogHits, LogQuery


class Search:
    """The matching lines so far, and where to look next."""

    def __init__(self, query: LogQuery, text: str, origin: int) -> None:
        self.query = query
        self.text = text
        """As it was typed."""
        self.origin = origin
        self.pattern = query.pattern
        self._above = array("Q")
        """Descending, all before the origin."""
        self._below = array("Q")
        self._up: int | None = origin or None
        self._down: int | None = origin
        self._turn_up = False

    def __len__(self) -> int:
        return len(self._above) + len(self._below)

    @property
    def complete(self) -> bool:
        """Whether each line that was there has been looked at."""
        return self._up is None and self._down is None

    def next_slice(self) -> tuple[int, bool] | None:
        """(line, backwards) of the slice to search now: below and above in turn."""
        if self._down is not None and (self._up is None or not self._turn_up):
            return self._down, False
        return (self._up, True) if self._up is not None else None

    def take(self, found: LogHits, *, backwards: bool) -> None:
        """What the slice held."""
        self._turn_up = not backwards
        if backwards:
            self._above.extend(reversed(found.numbers))
            self._up = found.next_line
        else:
            self._below.extend(found.numbers[bisect_right(found.numbers, self._below[-1]) if self._below else 0 :])
            self._down = found.next_line

    def grown(self, since: int) -> None:
        """The log has grown; lines before `since` were searched as they are."""
        if self._down is None:
            self._down = since

    def give_up(self) -> None:
        self._up = self._down = None

    def at(self, index: int) -> int:
        above = len(self._above)
        return self._above[above - 1 - index] if index < above else self._below[index - above]

    def index(self, number: int) -> int:
        """How many matches lie before that line."""
        if self._above and number <= self._above[0]:
            return len(self._above) - bisect_right(self._above, -number, key=lambda each: -each)
        return len(self._above) + bisect_left(self._below, number)

    def holds(self, number: int) -> bool:
        index = self.index(number)
        return index < len(self) and self.at(index) == number

    def after(self, number: int) -> int | None:
        index = self.index(number + 1)
        return self.at(index) if index < len(self) else None

    def before(self, number: int) -> int | None:
        index = self.index(number)
        return self.at(index - 1) if index else None
