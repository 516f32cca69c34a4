"""That one module writes how attempts ended. What it writes is in the tests of those who call it."""

from __future__ import annotations

import re
from pathlib import Path

import gyoza_tui.worker

_WRITES = re.compile(r"finish\(\s*Outcome\.|outcome=Outcome\.|journal\.finish\(")


def test_no_other_module_of_a_worker_writes_an_outcome() -> None:
    root = Path(gyoza_tui.worker.__file__).parent
    writers = [path.relative_to(root) for path in root.rglob("*.py") if _WRITES.search(path.read_text())]
    assert writers == [Path("endings.py")]
