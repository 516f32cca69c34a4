"""A backend that is made when something is first asked of it."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gyoza_tui.backends.at_first_use import AtFirstUse
from gyoza_tui.backends.base import Backend
from tests.worker.fake_backend import FakeBackend

_MADE = """
import sys
from gyoza_tui.settings import load
from gyoza_tui.worker.runner import Worker
worker = Worker(load())
backends = {"docker", "gyoza_tui.backends.local.backend"}
assert not backends & sys.modules.keys(), "before anybody asks"
worker.runtime.pool.close()
assert not backends & sys.modules.keys(), "only to be closed"
worker.runtime.pool.check()
assert backends <= sys.modules.keys()
"""


def test_it_is_made_once_however_many_ask_at_once() -> None:
    made: list[Backend] = []
    together = threading.Barrier(8)

    def make() -> Backend:
        made.append(FakeBackend())
        return made[-1]

    backend = AtFirstUse("docker", make)
    assert backend.name == "docker"
    backend.close()
    assert made == []

    def ask(_number: int) -> object:
        together.wait(10)
        return backend.capabilities

    with ThreadPoolExecutor(8) as askers:
        answers = list(askers.map(ask, range(8)))
    assert len(made) == 1
    assert all(answer is made[0].capabilities for answer in answers)


def test_a_worker_starts_without_what_its_backends_take(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", _MADE],
        env={"HOME": str(tmp_path), "GYOZA_STATE_DIR": str(tmp_path), "PATH": ""},
        cwd=tmp_path,
        timeout=60,
        check=True,
    )
