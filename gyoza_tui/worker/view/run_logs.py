"""The logs of the attempts that this worker knows, for whoever looks at them."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from gyoza_tui.models.ansi import without_escapes
from gyoza_tui.worker.op_output.log_spool import LogLine, SpoolReader
from gyoza_tui.worker.op_output.redaction import redact_pieces, redacted_line, redacted_lines, secrets_in_lines
from gyoza_tui.worker.view.control import LogHits, LogPage, LogQuery

_OPEN_MAX: Final = 4
_LINES_MAX: Final = 10_000
_NUMBERED_ALIKE: Final = 3
"""A line of which the middle was cut: its begin, the mark, its end."""


class LogLocation(NamedTuple):
    """Where an attempt's log is, and which values in it are shown to nobody."""

    path: Path
    secrets: Collection[str] = ()


class _Log(NamedTuple):
    reader: SpoolReader
    secrets: tuple[str, ...]


class RunLogs:
    """Thread-safe. A log that is not there is empty; secrets are in none."""

    def __init__(self, source_of: Callable[[int], LogLocation]) -> None:
        """`source_of` an attempt's key; it raises KeyError for one that is not known."""
        self._source_of = source_of
        self._lock = threading.Lock()
        self._logs: OrderedDict[int, _Log] = OrderedDict()

    def lines(self, key: int, start: int, count: int, line_max: int) -> LogPage:
        """No two lines have the same number: what is left of one whose middle was cut is one line."""
        reader, secrets = self._log(key)
        total = reader.lines
        if start < 0:
            start = max(0, total + start)
        wanted = min(count, _LINES_MAX)
        found = reader.read_lines(start, wanted + _NUMBERED_ALIKE, line_max)
        joined = [_joined(list(parts)) for _, parts in groupby(found, lambda line: line.number)][:wanted]
        lines = [redacted_line(line, secrets) for line in joined]
        last = lines[-1] if lines else None
        return LogPage(tuple(lines), max(total, last.number + max(1, last.cut_lines)) if last else total)

    def search(self, key: int, query: LogQuery, line: int, *, backwards: bool) -> LogHits:
        reader, secrets = self._log(key)
        finder = _Finder(query)
        found = reader.slice_until(line) if backwards else reader.slice_from(max(0, line))
        numbers: list[int] = []
        for stretch in found.stretches:
            numbers += finder.lines(_as_shown(redacted_lines(stretch.data, secrets)), stretch.first)
        return LogHits(tuple(number for number in numbers if not backwards or number < line), found.next_line)

    def bytes(self, key: int) -> Iterator[bytes]:
        reader, secrets = self._log(key)
        return redact_pieces(reader.raw(), secrets)

    def _log(self, key: int) -> _Log:
        with self._lock:
            if key in self._logs:
                self._logs.move_to_end(key)
                return self._logs[key]
        source = self._source_of(key)
        log = _Log(SpoolReader(source.path), secrets_in_lines(source.secrets))
        with self._lock:
            self._logs[key] = log
            while len(self._logs) > _OPEN_MAX:
                self._logs.popitem(last=False)
        return log


def _joined(parts: list[LogLine]) -> LogLine:
    """One line of those with the same number."""
    if len(parts) == 1:
        return parts[0]
    real = next((part for part in parts if part.stream is not None), parts[0])
    return LogLine(
        number=real.number,
        stream=real.stream,
        at=parts[0].at,
        data=b" ".join(part.data for part in parts),
        partial=True,
        lacks=parts[-1].lacks,
        tail=parts[-1].tail,
    )


class _Finder:
    """A query, in the fastest form that finds the same."""

    def __init__(self, query: LogQuery) -> None:
        self._pattern = query.pattern
        self._lower = re.compile(query.expression) if query.ignores_case and query.expression.isascii() else None
        """For ASCII text in lower case."""
        self._literal = query.text or ""
        """What every match holds, as it is when case matters or the text is in lower case."""
        self._case = not query.ignores_case

    def lines(self, text: str, first: int) -> Iterator[int]:
        """The numbers of the lines that match; the text begins with line `first`."""
        pattern, literal = self._pattern, self._case
        if self._lower is not None and text.isascii():
            pattern, literal, text = self._lower, True, text.lower()
        if literal and self._literal not in text:
            return iter(())
        return _matching(pattern, text, first)


def _as_shown(data: bytes) -> str:
    text = data.decode(errors="replace")
    return without_escapes(text.replace("\r\n", "\n") if b"\r" in data else text)


def _matching(pattern: re.Pattern[str], text: str, first: int) -> Iterator[int]:
    """The numbers of the lines that match; a match across lines is none."""
    number, counted, position = first, 0, 0
    end = len(text) - text.endswith("\n")
    while text and position <= end and (found := pattern.search(text, position)) is not None and found.start() <= end:
        number += text.count("\n", counted, found.start())
        counted = found.start()
        line_end = text.find("\n", counted, end)
        line_end = end if line_end < 0 else line_end
        begin = text.rfind("\n", 0, counted) + 1
        if found.end() <= line_end or pattern.search(text[begin:line_end]):
            yield number
        position = line_end + 1
