"""Which files a piece of code makes the kernel write to the disk, seen from below SQLite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

_SOURCE: Final = Path(__file__).with_name("syncs.c")


def syncs(folder: Path, code: str, *arguments: str) -> dict[str, list[str]]:
    """Run `code` in another Python; for each word that it prints, the names of the files synced since the one before.

    Skips the test where there is no C compiler.
    """
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("no C compiler: the calls of fsync are counted by a library that is built with gcc")
    library = folder / "syncs.so"
    subprocess.run([gcc, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"], check=True, timeout=60)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"LD_PRELOAD": str(library), "SYNCS_FD": "1", "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = {}
    since: list[str] = []
    for line in done.stdout.splitlines():
        if line.startswith("/"):
            since.append(Path(line).name)
        else:
            found[line], since = since, []
    return found
