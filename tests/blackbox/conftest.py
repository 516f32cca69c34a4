"""Houses for black-box tests: one per test, or one that a module's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.blackbox.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Without an engine: its workers are asked for local ops."""
    with House(tmp_path) as made:
        yield made


@pytest.fixture
def docker_house(tmp_path: Path, docker_engine: docker.APIClient) -> Iterator[House]:
    with House(tmp_path) as made:
        made.engine = docker_engine
        yield made
