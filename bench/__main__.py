"""Run every bench, one after another, and end with one table of all figures: `make bench`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.report import FIGURES_FILE, Figure, python_start_ms

_HERE: Final = Path(__file__).parent


def main() -> None:
    table = Table("figure", "value", "bound", "of its bound", "python -c pass", "")
    for column in table.columns[1:5]:
        column.justify = "right"
    failed = False
    for name in _names():
        print(f"bench.{name}", flush=True)
        start_ms = python_start_ms()
        code, figures = _run(name)
        failed |= code != 0
        for each in figures:
            bound = f"{'≤' if each.at_most else '≥'} {each.bound:g}{each.unit}"
            of_bound = f"{each.value / each.bound:.2f}" if each.bound else ""
            word = "ok" if each.well else "MISSED"
            table.add_row(each.name, f"{each.value:.3g}{each.unit}", bound, of_bound, f"{start_ms:.1f} ms", word)
        if not figures:
            table.add_row(f"bench.{name}", "", "", "", f"{start_ms:.1f} ms", f"no figure, exit {code}")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    sys.exit(failed)


def _names() -> list[str]:
    return sorted(path.stem for path in _HERE.glob("[a-z]*.py") if '__name__ == "__main__"' in path.read_text())


def _run(name: str) -> tuple[int, list[Figure]]:
    """The exit code of a bench and the figures that it reported."""
    with tempfile.NamedTemporaryFile(prefix="gyoza-bench-") as file:
        environment = os.environ | {FIGURES_FILE: file.name}
        code = subprocess.run([sys.executable, "-m", f"bench.{name}"], env=environment, check=False).returncode
        return code, [Figure(*json.loads(line)) for line in Path(file.name).read_text().splitlines()]


if __name__ == "__main__":
    main()
