"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
pytest_plugins = ("tests.engine", "tests.leftovers")


@pytest.fixture(scope="session", autouse=True)
def _signals_of_a_terminal() -> None:
    """What was ignored where the tests were started, as SIGINT is in the background of a script, would be ignored by
    every process that they start."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_shell() -> Iterator[None]:
    """What the developer's own worker is set to, or how wide the terminal is, is no concern of a test."""
    with pytest.MonkeyPatch.context() as patched:
        for name in list(os.environ):
            if name in ("COLUMNS", "LINES") or (name.startswith("GYOZA_") and not name.startswith("GYOZA_TEST_")):
                patched.delenv(name)
        yield
