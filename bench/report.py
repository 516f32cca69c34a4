"""What every bench prints, and how it ends: the measured value against its bound, the machine, the versions."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Final, NamedTuple, NoReturn

import psutil

from gyoza_tui import __version__

FIGURES_FILE: Final = "BENCH_FIGURES"
"""Names a file that gets each figure as a line of JSON."""
_STARTS: Final = 9


class Figure(NamedTuple):
    """A measured value and its bound."""

    name: str
    detail: str
    value: float
    bound: float
    at_most: bool = True
    unit: str = ""

    @property
    def well(self) -> bool:
        return self.value <= self.bound if self.at_most else self.value >= self.bound


def report(name: str, detail: str, value: float, bound: float, *, at_most: bool, unit: str = "") -> NoReturn:
    """Print, and end the process: 1 beyond the bound."""
    report_all(Figure(name, detail, value, bound, at_most, unit))


def report_all(*figures: Figure) -> NoReturn:
    """Print them, and end the process: 1 if one is beyond its bound."""
    for each in figures:
        bound = f"{'at most' if each.at_most else 'at least'} {each.bound:g}{each.unit}"
        print(f"{each.name}: {each.value:.3g}{each.unit} ({bound}): {_word(each.well)}")
        print(f"  {each.detail}")
    print(f"  {_machine()}")
    if file := os.environ.get(FIGURES_FILE):
        with open(file, "a") as lines:
            lines.writelines(f"{json.dumps(each)}\n" for each in figures)
    sys.exit(0 if all(each.well for each in figures) else 1)


def python_start_ms() -> float:
    """How long this machine takes now for `python -c pass`: its speed, in milliseconds; the median of some starts."""
    taken = []
    for _ in range(_STARTS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


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
