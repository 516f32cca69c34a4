"""A command line that is none: what is said of it."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Verb


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["completion"], "Missing argument 'bash|zsh|fish'. Choose from:\n  bash,\n  zsh,\n  fish\nTry "),
        (["--bogus"], "No such option: --bogus\nTry `gyoza-tui --help`."),
        (["runs", "--stat", "x"], "No such option: --stat (did you mean --state or --state-dir?)\n"),
        (["runs", "-state:completed"], "goes behind `--`: gyoza-tui runs ... -- -state:completed\n"),
        (["cancel", "--yes", "-op:train"], "goes behind `--`: gyoza-tui cancel ... -- -op:train\n"),
        (["priority", "a1b2", "-3"], "goes behind `--`: gyoza-tui priority ... -- -3\n"),
        (["runs", "-z"], "No such option: -z\nTry "),
        (["submit", "-state:x"], "No such option: -s\nTry "),
        (["priority", "a1b2"], "N is missing, for 'a1b2' is no number: gyoza-tui priority RUN... N\n"),
        (["priority", "a1b2", "1000001"], "N is a number from -1000000 to 1000000\n"),
    ],
)
def test_it_says_what_to_type(verb: Verb, arguments: list[str], words: str) -> None:
    said = verb(*arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err
