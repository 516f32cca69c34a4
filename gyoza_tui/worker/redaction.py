"""Secret values taken out of output that leaves this machine or is shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from gyoza_tui.models.runs import SECRET_SHOWN

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


def redact_pieces(pieces: Iterable[bytes], secrets: Iterable[str]) -> Iterator[bytes]:
    """The same of output that comes in pieces, also where a value is cut in two by them.

    What could be the beginning of a secret is held back until the next piece.
    """
    values = sorted({s.encode() for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True)
    if not values:
        yield from pieces
        return
    held = b""
    for piece in pieces:
        held = _replaced(held + piece, values)
        keep = _beginning(held, values)
        yield held[: len(held) - keep]
        held = held[len(held) - keep :]
    yield held


def _replaced(data: bytes, values: list[bytes]) -> bytes:
    for value in values:
        data = data.replace(value, SECRET_SHOWN.encode())
    return data


def _beginning(data: bytes, values: list[bytes]) -> int:
    """How many bytes at the end of `data` may be the beginning of a secret."""
    longest = max(len(value) for value in values) - 1
    for size in range(min(longest, len(data)), 0, -1):
        if any(value.startswith(data[-size:]) for value in values):
            return size
    return 0
