"""Secret values taken out of output that leaves this machine or is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from gyoza_tui.models.runs import SECRET_SHOWN
from gyoza_tui.worker.log_spool import LogLine

_SHORTEST: Final = 4
"""A shorter value is in too many words to be told from them."""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret value of at least four characters replaced by `***`."""
    return b"".join(redact_pieces([text.encode()], secrets)).decode(errors="replace")


def secrets_in_lines(secrets: Iterable[str]) -> tuple[str, ...]:
    """For `redacted_lines`: a secret of several lines is one in each of them."""
    return tuple({part for secret in secrets for part in (*secret.split("\n"), *secret.splitlines())})


def redacted_lines(data: bytes, secrets: Collection[str]) -> bytes:
    """The same of whole lines, of which there are as many as before."""
    return b"".join(redact_pieces([data], secrets)) if secrets else data


def redacted_line(line: LogLine, secrets: Collection[str]) -> LogLine:
    """The same of one line; what may be part of a secret where its middle was left out is left out too."""
    if not (values := _values(secrets)):
        return line
    data, tail = _replaced(line.data, values), _replaced(line.tail, values)
    if line.lacks:
        data, tail = data[: len(data) - _beginning(data, values)], tail[_end(tail, values) :]
    return line._replace(data=data, tail=tail)


def redact_pieces(pieces: Iterable[bytes], secrets: Iterable[str]) -> Iterator[bytes]:
    """The same of output that comes in pieces, also where a value is cut in two by them.

    What could be the beginning of a secret is held back until the next piece.
    """
    if not (values := _values(secrets)):
        yield from pieces
        return
    held = b""
    for piece in pieces:
        held = _replaced(held + piece, values)
        keep = _beginning(held, values)
        yield held[: len(held) - keep]
        held = held[len(held) - keep :]
    yield held


def _values(secrets: Iterable[str]) -> list[bytes]:
    return sorted({s.encode() for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True)


def _replaced(data: bytes, values: list[bytes]) -> bytes:
    for value in values:
        data = data.replace(value, SECRET_SHOWN.encode())
    return data


def _beginning(data: bytes, values: list[bytes]) -> int:
    """How many bytes at the end of `data` may be the beginning of a secret."""
    return _longest(data, values, lambda value, size: value.startswith(data[-size:]))


def _end(data: bytes, values: list[bytes]) -> int:
    """How many bytes at the beginning of `data` may be the end of a secret."""
    return _longest(data, values, lambda value, size: value.endswith(data[:size]))


def _longest(data: bytes, values: list[bytes], part: Callable[[bytes, int], bool]) -> int:
    longest = max(len(value) for value in values) - 1
    sizes = range(min(longest, len(data)), 0, -1)
    return next((size for size in sizes if any(part(value, size) for value in values)), 0)
