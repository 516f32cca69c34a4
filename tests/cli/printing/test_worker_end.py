"""A worker has ended when its process is gone, not when it says so."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gyoza_tui.cli.printing import worker_end
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.worker.view.control import Contact, Ending
from gyoza_tui.worker.view.snapshot import Snapshot
from tests.ui.fake_control import snapshot


def test_the_process_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    process = subprocess.Popen(["sleep", "60"])
    looks = iter([lambda: None, process.kill])

    def looked_at() -> Snapshot:
        next(looks)()
        return snapshot(state=WorkerState.DRAINING)

    control: Any = SimpleNamespace(
        root=Path("desk"),
        hello=SimpleNamespace(pid=process.pid),
        contact=lambda: Contact(ended="drained"),
        snapshot=looked_at,
    )
    worker_end.wait(control, Ending.DRAIN)
    assert process.wait(0.1) < 0
    assert capsys.readouterr().out == "desk: drained\n"
