"""`serve` refuses what would let others in."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.server.launch import ServerOptions
from tests.cli.conftest import Verb


@pytest.mark.parametrize(
    ("flags", "key", "words"),
    [
        (["--no-key", "--host", "0.0.0.0"], "", "set GYOZA_API_KEY"),
        (["--host", "0.0.0.0"], "", "set GYOZA_API_KEY"),
        (["--no-key"], "k", "leave out --no-key"),
    ],
)
def test_what_would_let_others_in_is_refused(
    verb: Verb, clean_environment: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], key: str, words: str
) -> None:
    monkeypatch.setenv("GYOZA_API_KEY", key)
    said = verb("serve", "--port", "0", *flags)
    assert (said.code, words in said.err) == (2, True), said.err
    assert not (clean_environment / "state").exists(), "no key is made"


@pytest.mark.parametrize(("set_to", "level"), [("", "warning"), ("INFO", "info")])
def test_it_logs_from_the_level_that_is_set(
    verb: Verb, monkeypatch: pytest.MonkeyPatch, set_to: str, level: str
) -> None:
    served: list[ServerOptions] = []
    monkeypatch.setattr("gyoza_tui.server.launch.serve", served.append)
    monkeypatch.setenv("GYOZA_SERVER_LOG_LEVEL", set_to)
    said = verb("serve", "--port", "0")
    assert (said.code, [options.log_level for options in served]) == (0, [level])
    assert "not a setting" not in said.err
    monkeypatch.setenv("GYOZA_SERVER_LOG_LEVEL", "loud")
    assert "GYOZA_SERVER_LOG_LEVEL" in verb("serve").err
