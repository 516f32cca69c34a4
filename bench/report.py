"""What every bench prints, and how it ends: the measured value against its bound, the machine, the versions."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from typing import NoReturn

import psutil

from gyoza_tui import __version__


def report(name: str, detail: str, value: float, bound: float, *, at_most: bool, unit: str = "") -> NoReturn:
    """Print, and end the process: 1 beyond the bound."""
    well = value <= bound if at_most else value >= bound
    print(f"{name}: {value:.3g}{unit} ({'at most' if at_most else 'at least'} {bound:g}{unit}): {_word(well)}")
    print(f"  {detail}")
    print(f"  {_machine()}")
    sys.exit(0 if well else 1)


def _word(well: bool) -> str:
    return "ok" if well else "MISSED"


def _machine() -> str:
    memory_gib = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    libraries = ", ".join(f"{each} {version(each)}" for each in ("httpx", "docker", "pydantic", "fastapi"))
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, load {load:.1f}, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, gyoza-tui {__version__}, {libraries}"
    )
