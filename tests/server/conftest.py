"""Fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.cluster import Cluster, cluster


@pytest.fixture
def gyoza(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path / "server.db") as made:
        yield made
