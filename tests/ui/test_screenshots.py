"""The pictures that people see first are of the screen as it is."""

from __future__ import annotations

import pytest

from tests.ui.screenshots import FOLDER, PICTURES
from tests.ui.svg import difference


@pytest.mark.parametrize("name", PICTURES)
def test_a_screenshot_is_not_stale(name: str) -> None:
    differs = difference((FOLDER / f"{name}.svg").read_text(), PICTURES[name]())
    assert not differs, f"screenshots/{name}.svg is stale: look at it after `make screenshots`\n{differs}"
