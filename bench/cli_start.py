"""How long `gyoza-tui --help` takes, in starts of a bare Python: `python -c pass`.

Taken in pairs, one after the other in changing order, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bench.report import report
from tests.commands import COMMAND

PAIRS = 30
WARM_UP = 3


def took_s(*argv: str) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return time.perf_counter() - began


def ours() -> float:
    return took_s(COMMAND, "--help")


def bare() -> float:
    return took_s(sys.executable, "-c", "pass")


def main() -> None:
    pairs = []
    for number in range(WARM_UP + PAIRS):
        if number % 2:
            first, second = ours(), bare()
        else:
            second, first = bare(), ours()
        pairs.append((first, second))
    helps, starts = (statistics.median(times) * 1000 for times in zip(*pairs[WARM_UP:], strict=True))
    detail = f"medians of {PAIRS} pairs: --help {helps:.0f} ms, python -c pass {starts:.0f} ms"
    report("gyoza-tui --help / python -c pass", detail, helps / starts, 15, at_most=True)


if __name__ == "__main__":
    main()
