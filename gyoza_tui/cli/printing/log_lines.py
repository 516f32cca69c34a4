"""A log line by line: its end, what came since, what matches."""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from gyoza_tui.models.ansi import without_escapes

if TYPE_CHECKING:
    from gyoza_tui.worker.op_output.log_spool import LogLine, SpoolReader

_BATCH: Final = 1000
_FOLLOW_POLL_S: Final = 0.1


class Line(NamedTuple):
    number: int
    at: float
    stream: str | None
    """None: words of ours."""
    data: bytes
    """Without secrets, and without its newline."""
    ended: bool
    """Whether a newline follows."""

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


@dataclass(frozen=True)
class Selection:
    """Which lines are wanted; None is any."""

    tail: int | None = None
    """The last ones of those that the rest lets through."""
    since: float | None = None
    """UTC seconds."""
    grep: re.Pattern[str] | None = None
    """Found in the line without its escape codes."""
    stream: str | None = None

    def __bool__(self) -> bool:
        return self != Selection()

    def of_texts(self, texts: Iterable[str]) -> list[str]:
        """What it lets through of lines of which nothing but their text is known."""
        found = [text for text in texts if self.grep is None or self.grep.search(without_escapes(text)) is not None]
        return found if self.tail is None else found[max(0, len(found) - self.tail) :]

    def wants(self, line: Line) -> bool:
        if self.stream is not None and line.stream != self.stream:
            return False
        return self.grep is None or self.grep.search(without_escapes(line.text)) is not None


class Lines:
    """Of a log that may grow until `ended`."""

    def __init__(self, reader: SpoolReader, secrets: Iterable[str], ended: Callable[[], bool]) -> None:
        from gyoza_tui.worker.op_output.redaction import redacted_line, secrets_in_lines

        self._reader = reader
        self._redacted = partial(redacted_line, secrets=secrets_in_lines(secrets))
        self._ended = ended

    def chosen(self, selection: Selection) -> Iterator[Line]:
        """What is there, the last `tail` of it, then what comes."""
        whole = self._ended()
        there = self._reader.lines
        start = self._first_since(selection.since, there) if selection.since is not None else 0
        if selection.tail is not None:
            if selection.grep is None and selection.stream is None:
                start = max(start, there - selection.tail)
            else:
                if not whole and self._unfinished(there - 1):
                    there -= 1
                found = (line for line in self._until(start, there) if selection.wants(line))
                yield from deque(found, maxlen=selection.tail)
                start = there
        yield from (line for line in self._from(start) if selection.wants(line))

    def _first_since(self, since: float, there: int) -> int:
        def at(number: int) -> float:
            found = self._reader.read_lines(number, 1, line_max=1)
            return found[0].at if found else since

        return bisect_left(range(there), since, key=at)

    def _unfinished(self, number: int) -> bool:
        """Whether the rest of that line, which is the last one, may still come."""
        return any(line.partial for line in self._reader.read_lines(number, 1))

    def _until(self, start: int, end: int) -> Iterator[Line]:
        while start < end and (lines := self._reader.read_lines(start, min(_BATCH, end - start))):
            for line in lines:
                if line.number < end:
                    yield self._shown(line)
            start = _behind(lines[-1])

    def _from(self, start: int) -> Iterator[Line]:
        """A line that is not ended yet waits for its end while the run goes on."""
        while True:
            last_round = self._ended()
            lines = self._reader.read_lines(start, _BATCH)
            if lines and lines[-1].partial and not last_round:
                lines.pop()
            for line in lines:
                yield self._shown(line)
                start = _behind(line)
            if not lines:
                if last_round:
                    return
                time.sleep(_FOLLOW_POLL_S)

    def _shown(self, line: LogLine) -> Line:
        data = self._redacted(line).data
        if line.lacks:
            data += f" [gyoza-tui: {line.lacks} bytes of this line left out]".encode()
        stream = None if line.stream is None else line.stream.value
        return Line(line.number, line.at, stream, data, not line.partial or stream is None or line.lacks > 0)


def _behind(line: LogLine) -> int:
    return line.number + max(1, line.cut_lines)
