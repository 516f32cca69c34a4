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


@pytest.mark.parametrize(
    ("flags", "key", "makes_one"), [([], "", True), (["--no-key"], "", False), ([], "configured", False)]
)
def test_it_makes_a_key_unless_one_is_configured_or_none_is_wanted(
    verb: Verb, monkeypatch: pytest.MonkeyPatch, flags: list[str], key: str, makes_one: bool
) -> None:
    served: list[ServerOptions] = []
    monkeypatch.setattr("gyoza_tui.server.launch.serve", served.append)
    monkeypatch.setenv("GYOZA_API_KEY", key)
    assert verb("serve", "--port", "0", *flags).code == 0
    (options,) = served
    assert (options.api_key or "", options.own_files is not None) == (key, makes_one)
