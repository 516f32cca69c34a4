"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest_plugins = ("tests.engine",)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_shell() -> Iterator[None]:
    """What the developer's own worker is set to, or how wide the terminal is, is no concern of a test."""
    with pytest.MonkeyPatch.context() as patched:
        for name in list(os.environ):
            if name in ("COLUMNS", "LINES") or (name.startswith("GYOZA_") and not name.startswith("GYOZA_TEST_")):
                patched.delenv(name)
        yield
