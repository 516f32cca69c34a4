"""Whether an attempt that should be frozen is, judged by the kernel's own count of its CPU time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

BUSY: Final = "import os\nprint(os.getpid(), flush=True)\nwhile True: pass\n"
_WATCHED_S: Final = 0.3


def ticks(pids: Iterable[int]) -> list[int]:
    """Of user and system time."""
    found = []
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        found.append(int(fields[11]) + int(fields[12]))
    return found


def rests(pids: list[int]) -> bool:
    """Whether none of these uses any CPU for a while."""
    before = ticks(pids)
    time.sleep(_WATCHED_S)
    return ticks(pids) == before


@contextlib.contextmanager
def load() -> Iterator[None]:
    """Twice as many busy processes as there are cores."""
    code = "while True: pass"
    busy = [subprocess.Popen([sys.executable, "-I", "-S", "-c", code]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
