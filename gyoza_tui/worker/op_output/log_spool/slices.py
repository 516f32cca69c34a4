"""Many lines at once, for a search: as bytes in which newlines are counted, not as objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gyoza_tui.models.limits import KIB
from gyoza_tui.worker.op_output.log_spool.lines import Cut, Walk

SLICE_BYTES: Final = 256 * KIB


class Stretch(NamedTuple):
    """Consecutive lines, one per newline; the last one may lack it."""

    first: int
    """The number of its first line."""
    data: bytes


class LineSlice(NamedTuple):
    stretches: tuple[Stretch, ...]
    next_line: int | None
    """The first line behind it; None: there are no more."""


class _Building:
    """A stretch in the making."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.next = first
        """The number of the line in which its end lies."""
        self.open = False
        """Whether anything of that line is in it."""
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self.next += data.count(b"\n")
        self.open = not data.endswith(b"\n")

    def stretch(self, *, whole_lines: bool = False) -> Stretch:
        data = b"".join(self._parts)
        return Stretch(self.first, data[: data.rfind(b"\n") + 1] if whole_lines else data)


class _Lines:
    """Puts pieces together by the numbers of the lines that they begin in."""

    def __init__(self, line: int) -> None:
        self._line = line
        self._done: list[Stretch] = []
        self._last: _Building | None = None
        self.size = 0

    @property
    def end(self) -> int:
        """The number of the line in which the end lies."""
        return self._last.next if self._last is not None else self._line

    def add(self, number: int, data: bytes, glue: bytes = b"") -> None:
        last = self._last
        if last is not None and last.open:
            if number == last.next:
                data = glue + data
            else:
                last.add(b"\n")
        if last is None or number != last.next:
            if last is not None:
                self._done.append(last.stretch())
            last = self._last = _Building(number)
        last.add(data)
        self.size += len(data)

    def slice(self, next_line: int | None) -> LineSlice:
        last = self._last
        rest = () if last is None else (last.stretch(whole_lines=next_line is not None and last.next == next_line),)
        return LineSlice((*self._done, *rest), next_line)


def slice_of(records: Walk, cuts: Mapping[int, Cut], line: int, until: int | None) -> LineSlice:
    """The lines from number `line` on, SLICE_BYTES of them, or with `until` those before that number.

    `records` begin with the one in which `line` begins. Of a line of several SLICE_BYTES the middle is left out.
    """
    lines = _Lines(line)
    for place in records:
        record = place.record
        if until is not None and record.line >= until:
            break
        if until is None and lines.size >= SLICE_BYTES and lines.end > line:
            return lines.slice(lines.end)
        cut = cuts.get(record.start)
        if cut is not None and cut.first_line + max(1, cut.lines) > line:
            lines.add(cut.first_line, cut.words.encode() + b"\n" * (cut.lines > 0), b" ")
        data = _from_line(line - record.line, place.data())
        if data:
            lines.add(max(line, record.line), data, b" " * (cut is not None))
            if lines.size >= SLICE_BYTES and lines.end == line:
                records.skip(place, line)
    return lines.slice(None)


def _from_line(number: int, data: bytes) -> bytes:
    """What lies behind that many newlines."""
    if number <= 0:
        return data
    parts = data.split(b"\n", number)
    return parts[-1] if len(parts) > number else b""
