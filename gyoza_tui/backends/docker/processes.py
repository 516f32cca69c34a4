"""Which container a process of this machine is in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_CONTAINER: Final = re.compile(r"(?:^|[/\-:])([0-9a-f]{64})(?:\.scope)?(?:/|$)", re.MULTILINE)
"""In the path of a cgroup, as either version of cgroups and either of Docker's cgroup drivers writes it."""


def container_of(pid: int) -> str | None:
    """Its full id; of nested containers the innermost. None for a process of none, or of one that is not seen here."""
    try:
        found = _CONTAINER.findall(Path(f"/proc/{pid}/cgroup").read_text(errors="surrogateescape"))
    except OSError:
        return None
    return found[-1] if found else None
