"""The clock by which every duration is decided."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

_SLEPT_S: Final = 100_000
"""What a machine that was suspended for as long reads: boot time went on, monotonic time stood still."""
_READ: Final = """
import time
from gyoza_tui.models.clock import SystemClock
print(SystemClock().boot() - time.monotonic())
"""


def test_a_suspended_machine_counts_the_time_it_slept() -> None:
    command = ["unshare", "--user", "--map-root-user", "--time", "--boottime", str(_SLEPT_S)]
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare: the test needs a time namespace")
    if tried.returncode:
        pytest.skip(f"no time namespace can be made here: {tried.stderr.strip()}")
    command += ["--fork", sys.executable, "-c", _READ]
    ahead_s = float(subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout)
    assert ahead_s > _SLEPT_S - 1
