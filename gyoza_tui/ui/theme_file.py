"""The theme that was chosen on the screen, kept in a file of the worker's directory for its next start."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

NAME: Final = "theme"
_SIZE_MAX: Final = 64


def kept(path: Path | None, known: Collection[str]) -> str | None:
    """The theme that the file names, if it is one of those `known`; None for any other file."""
    if path is None:
        return None
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            name = os.read(file, _SIZE_MAX).decode(errors="replace").strip()
        finally:
            os.close(file)
    except OSError:
        return None
    return name if name in known else None


def keep(path: Path, name: str) -> None:
    """Replace the file, whole. Raises OSError."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with part.open("x") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
