from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blackbox.house import House
from tests.ui.terminal.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with House(tmp_path) as house:
        yield Desk(house, tmp_path)
