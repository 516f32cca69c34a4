"""`-i k=v` and `--inputs`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.cli.failures import CliError, ExitCode
from gyoza_tui.cli.flags.inputs import given, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("3.5", 3.5),
        ("true", True),
        ("null", None),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ("", ""),
        ("text", "text"),
        ("a=b", "a=b"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1.2.3", "1.2.3"),
        ("[1,", "[1,"),
        ("[NaN]", "[NaN]"),
    ],
)
def test_a_value_is_json_where_it_reads_as_json(text: str, value: object) -> None:
    assert value_of("k", text) == value


def test_pairs_go_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text('{"a": 1, "b": [2]}')
    assert given(["a=9", "c=x=y"], str(file)).untyped() == {"a": 9, "b": [2], "c": "x=y"}


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["a"], "name=value"),
        (["=a"], "name=value"),
        (["a=1", "a=2"], "twice"),
        (["a=" + "9" * 5000], "cannot be read: an integer of over 4000 digits$"),
        (["a=" + "[" * 100_000], "nested too deep"),
    ],
)
def test_pairs_that_are_refused(pairs: list[str], words: str) -> None:
    with pytest.raises(CliError, match=words) as refused:
        given(pairs, None).untyped()
    assert refused.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{\n  "a": 1,\n}', "line 3, column 1"),
        (b"[1]", "one JSON object"),
        (b"", "line 1, column 1"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": "\xff"}', "cannot be read as JSON"),
        (b'{"a": ' + b"[" * 100_000, "nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read as JSON: an integer of over 4000 digits$"),
        (b'{"a": "' + b"x" * 2_000_000 + b'"}', "larger than 1024 KiB"),
    ],
)
def test_files_that_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_bytes(content)
    with pytest.raises(CliError, match=words) as refused:
        given([], str(file))
    assert refused.value.code is ExitCode.USAGE


def test_files_that_are_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", Path("/dev/zero")):
        with pytest.raises(CliError, match=r"cannot be read|larger than"):
            given([], str(path))
