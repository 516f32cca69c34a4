"""A run's whole log as a file: one to keep, or one for a pager."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

from gyoza_tui.models.ansi import only_colours

_NAME_MAX: Final = 100
_CONTROLS: Final = dict.fromkeys((*range(0x20), 0x7F)) | {ord(kept): kept for kept in "\t\r\n\x1b"}


def save(chunks: Iterable[bytes], op: str, run_id: str, directory: Path) -> Path:
    """Into `<op>-<run>.log`, or the next free name after it. Raises OSError."""
    path, file = _new(directory, f"{_plain(op)}-{_plain(run_id)}")
    try:
        with file:
            file.writelines(chunks)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def for_pager(chunks: Iterable[bytes]) -> Path:
    """A private temporary file without what a pager might pass on: of controls, colours and line ends stay.

    The caller deletes it. Raises OSError.
    """
    handle, name = tempfile.mkstemp(prefix="gyoza-", suffix=".log")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(map(_harmless, _lines(chunks)))
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines: no escape sequence goes over the end of one."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in lines)
    yield rest


def _harmless(line: bytes) -> bytes:
    return only_colours(line.decode(errors="replace")).translate(_CONTROLS).encode()


def _new(directory: Path, stem: str) -> tuple[Path, BinaryIO]:
    for number in count(1):
        path = directory / (f"{stem}.log" if number == 1 else f"{stem}-{number}.log")
        try:
            return path, path.open("xb")
        except FileExistsError:
            continue
    raise AssertionError


def _plain(name: str) -> str:
    """No part of a path that somebody else has chosen goes anywhere else."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")[:_NAME_MAX] or "_"
