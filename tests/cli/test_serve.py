"""`serve` refuses what would let others in."""

from __future__ import annotations

from pathlib import Path

import pytest

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
