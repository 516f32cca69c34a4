"""Secret values taken out of output that leaves this machine or is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

from gyoza_tui.models.runs import SECRET_SHOWN, EventReport
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.op_output.log_spool import LogLine

_SHORTEST: Final = 4
"""A shorter value is in too many words to be told from them."""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret value of at least four characters replaced by `***`."""
    return _redacted_text(text, _everywhere(secrets))


def redacted_tail(data: bytes, secrets: Collection[str]) -> bytes:
    """The same of the end of an output, also where its beginning is the rest of a secret."""
    values = _everywhere(secrets)
    return _replaced(data[_end(data, values) :], values) if values else data


def redacted_report(report: EventReport, secrets: Iterable[str]) -> EventReport:
    """The report without secrets. Outputs are the user's data: they stay as they are."""
    if report.type is EventType.COMPLETED or not (values := _everywhere(secrets)):
        return report
    msg = report.msg if report.type is EventType.PROGRESS else _redacted_value(report.msg, values)
    return report.model_copy(update={"msg": msg, "payload": _redacted_value(report.payload, values)})


def secrets_in_lines(secrets: Iterable[str]) -> tuple[str, ...]:
    """The forms in which secrets are in single lines, for `redacted_lines`: each line of them, and as JSON has them."""
    secrets = tuple(secrets)
    lines = {part for secret in secrets for part in (*secret.split("\n"), *secret.splitlines())}
    written = {json.dumps(each, ensure_ascii=plain)[1:-1] for each in (*secrets, *lines) for plain in (True, False)}
    return tuple(lines | written)


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
    if not (values := _everywhere(secrets)):
        yield from pieces
        return
    held = b""
    for piece in pieces:
        held = _replaced(held + piece, values)
        keep = _beginning(held, values)
        yield held[: len(held) - keep]
        held = held[len(held) - keep :]
    yield held


def _redacted_value(value: Any, values: list[bytes]) -> Any:
    """A JSON value without secrets; a number that is one is replaced too."""
    if isinstance(value, str):
        return _redacted_text(value, values)
    if isinstance(value, list):
        return [_redacted_value(item, values) for item in value]
    if isinstance(value, dict):
        return {_redacted_value(key, values): _redacted_value(item, values) for key, item in value.items()}
    is_secret = isinstance(value, int | float) and str(value).encode() in values
    return SECRET_SHOWN if is_secret else value


def _redacted_text(text: str, values: list[bytes]) -> str:
    return _replaced(text.encode(errors="replace"), values).decode(errors="replace") if values else text


def _everywhere(secrets: Iterable[str]) -> list[bytes]:
    """The forms in which secrets are in output, the longest first."""
    secrets = tuple(secrets)
    return _values((*secrets, *secrets_in_lines(secrets))) if secrets else []


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
