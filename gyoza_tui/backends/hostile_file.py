"""Reading a file that an op left: one rule, and one set of messages, however its bytes come here.

It may be a link, a pipe, a device or a terabyte of holes, and it may change while it is read. A source says what a
file is without opening it; only a regular file within the limit is read, and only if it is whole.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from gyoza_tui.backends.base import FileRefused
from gyoza_tui.models import sizes


class Kind(StrEnum):
    REGULAR = "a regular file"
    LINK = "a link"
    DIRECTORY = "a directory"
    PIPE = "a pipe"
    SOCKET = "a socket"
    DEVICE = "a device"
    UNKNOWN = "something else"


class Source(Protocol):
    """One file that is there."""

    @property
    def kind(self) -> Kind: ...

    @property
    def size(self) -> int:
        """In bytes, as found before it is read."""

    def read(self, most: int) -> bytes | None:
        """At most that many bytes from its beginning; None where it is no longer what was found."""


def read_whole(source: Source, name: str, limit: int) -> bytes:
    """All of the file, at most `limit` bytes. Raises FileRefused for anything else."""
    if source.kind is not Kind.REGULAR:
        raise irregular(name, source.kind)
    if source.size > limit:
        raise FileRefused(name, f"has {source.size} bytes: at most {sizes.in_words(limit)} are taken")
    data = source.read(source.size + 1)
    if data is None or len(data) != source.size:
        raise FileRefused(name, "changed while it was read: a process of the op is still writing")
    return data


def irregular(name: str, kind: Kind) -> FileRefused:
    return FileRefused(name, f"is {kind}, not {Kind.REGULAR}")


def check_name(name: str) -> str:
    """The name, if it leads nowhere but into its directory. Raises ValueError."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{ascii(name)[:80]} is not a plain file name")
    return name
