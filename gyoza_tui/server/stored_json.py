"""JSON that is answered as it is stored: neither parsed nor written again, whatever its size."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Final

_MARK: Final = secrets.token_hex(16)
"""No client can know it, so no value of theirs looks like a place."""
_PLACE: Final = f'{{"{_MARK}":null}}'.encode()
_PARSERS: Final = threading.local()


class _Stored:
    """Stored text, which pydantic cannot write and therefore passes to `fallback`."""

    __slots__ = ("data",)

    def __init__(self, text: str) -> None:
        self.data = text.encode()


def place(text: str | None) -> dict[str, Any]:
    """An object for a wire type that `written` replaces by `text`; an empty one where there is none.

    ValueError for a text that is damaged: it would break the whole answer.
    """
    if text is None:
        return {}
    if not text.startswith("{") or not _is_json(text):
        raise ValueError("the stored JSON is cut or changed")
    return {_MARK: _Stored(text)}


def _is_json(text: str) -> bool:
    """By SQLite's parser, which builds nothing and lets other threads run meanwhile."""
    if not hasattr(_PARSERS, "own"):
        _PARSERS.own = sqlite3.connect(":memory:")
    return bool(_PARSERS.own.execute("SELECT json_valid(?)", (text,)).fetchone()[0])


def written(write: Callable[..., bytes]) -> bytes:
    """What `write(fallback=…)` returns (a `dump_json` of pydantic), with each stored text in its place."""
    texts: list[bytes] = []

    def note(value: Any) -> None:
        assert isinstance(value, _Stored), type(value)
        texts.append(value.data)

    first, *others = write(fallback=note).split(_PLACE)
    return b"".join([first, *(part for pair in zip(texts, others, strict=True) for part in pair)])
