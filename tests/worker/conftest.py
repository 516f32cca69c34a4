"""Fixtures of the worker's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripted_server import ScriptedServer
from tests.worker.rig import Rig


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def rig(scripted: ScriptedServer, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(scripted, tmp_path / "state")
    yield made
    made.close()
