"""`gyoza.yml`: what it may hold, and where and how each fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.cli.failures import CliError, ExitCode
from gyoza_tui.cli.try_op import yaml_file
from gyoza_tui.cli.try_op.op_file import FAULTS_SHOWN, read_definitions
from gyoza_tui.cli.try_op.yaml_file import TextPlace
from gyoza_tui.models.definitions import ValueType

GOOD = """\
id: train
version: "1.0"
image: registry.local/train:1.0
command: [python3, /op/train.py]
input_specs:
  data: {type: string}
  epochs: {type: int, required: false, default: 10}
output_specs:
  loss: {type: float}
constraints: {cpu: 2, ram_mb: 4096, vram_mb: 8000}
retry_policy: {max_attempts: 3, backoff_s: 10}
event_delivery: {topic: nightly, attributes: {team: vision}}
env: {MODE: "fast", PORT: "8080"}
volumes: {/data: /data}
timeout_s: 3600
may_submit: definitions
tags: [a100]
"""
START = 'id: a\nversion: "1"\nimage: busybox\n'
"""Three lines that are a definition."""


def refused(root: Path, content: str | bytes) -> list[str]:
    """The faults that are told, without the file's name."""
    file = root / "gyoza.yml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CliError) as error:
        read_definitions(file)
    assert error.value.code is ExitCode.USAGE
    return [line.removeprefix(f"{file}, ").removeprefix(f"{file} ") for line in str(error.value).splitlines()]


def test_every_field(tmp_path: Path) -> None:
    file = tmp_path / "gyoza.yml"
    file.write_text(GOOD)
    (train,) = read_definitions(file)
    assert (train.id, train.version, train.command) == ("train", "1.0", ["python3", "/op/train.py"])
    assert train.input_specs["epochs"].type is ValueType.INT
    assert (train.input_specs["epochs"].default, train.constraints.vram_mb, train.timeout_s) == (10, 8000, 3600)
    assert train.model_fields_set == set(type(train).model_fields) - {"secret_env"}


def test_several_documents(tmp_path: Path) -> None:
    file = tmp_path / "gyoza.yml"
    file.write_text(f"\ufeff---\n{START}---\n---\n{START.replace('id: a', 'id: b')}")
    assert [each.id for each in read_definitions(file)] == ["a", "b"]
    assert refused(tmp_path, f"{START}---\n{START}") == ["line 5, column 1: a@1 is in this file already"]


def test_words_that_other_yaml_would_change(tmp_path: Path) -> None:
    file = tmp_path / "gyoza.yml"
    file.write_text(START + "env: {A: no, B: 1:30, C: 2026-11-20, D: 0x10, on: NaN, E: '5'}\ncommand: [~a, -n]\n")
    (found,) = read_definitions(file)
    assert found.env == {"A": "no", "B": "1:30", "C": "2026-11-20", "D": "0x10", "on": "NaN", "E": "5"}
    assert found.command == ["~a", "-n"]


def test_a_secret_without_a_value_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    file = tmp_path / "gyoza.yml"
    file.write_text(START + "secret_env:\n  TOKEN:\n  OTHER: plain\n")
    assert read_definitions(file)[0].secret_env == {"TOKEN": "s3cret", "OTHER": "plain"}
    monkeypatch.delenv("TOKEN")
    (fault,) = refused(tmp_path, START + "secret_env:\n  TOKEN:\n  OTHER: plain\n")
    assert fault == "line 5, column 3: secret_env.TOKEN has no value here, and TOKEN is not set in the environment"


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("tags: [a\n", "line 5, column 1: while parsing a flow sequence expected ',' or ']'"),
        ("tags: a: b\n", "line 4, column 8: mapping values are not allowed here"),
        ("\ttags: a\n", "line 4, column 1: while scanning for the next token found character '\\t'"),
        ("imgae: b\n", "line 4, column 1: no key 'imgae' here (did you mean image?) (keys: image, "),
        ("zzz: b\n", "line 4, column 1: no key 'zzz' here (keys: image, "),
        ("constraints:\n  vram: 3\n", "line 5, column 3: no key 'vram' here (did you mean vram_mb?) (keys: cpu, "),
        ("image: b\n", "line 4, column 1: the key 'image' is there already, in line 3"),
        ("env: {A: x, A: y}\n", "line 4, column 13: the key 'A' is there already, in line 4"),
        ("timeout_s: 10m\n", 'line 4, column 12: timeout_s must be a number, not "10m"'),
        ("timeout_s: 0\n", "line 4, column 12: timeout_s: input should be greater than 0, not 0"),
        ("tags: a\n", 'line 4, column 7: tags must be a list, as [a, b], not "a"'),
        ("env: [A]\n", "line 4, column 6: env must be a mapping, as {name: value}, not ["),
        ("env: {A: 1}\n", "line 4, column 10: env.A must be text: put it in quotes"),
        ("env: {A: [1]}\n", "line 4, column 10: env.A must be text, not [1]"),
        ("env: {1A: x}\n", "line 4, column 7: env.1A: '1A' cannot name an environment variable"),
        ("command: [a, 3]\n", "line 4, column 14: command.1 must be text: put it in quotes"),
        ("retry_policy: {max_attempts: true}\n", "line 4, column 30: retry_policy.max_attempts must be a whole number"),
        ("retry_policy: {max_attempts: 0}\n", "line 4, column 30: retry_policy.max_attempts: input should be greater"),
        (
            "constraints: {cpu: 1.25}\n",
            "line 4, column 20: constraints.cpu: must be a number of cores with at most",
        ),
        ("constraints: 4\n", "line 4, column 14: constraints must be a mapping (keys: cpu, ram_mb, vram_mb, gpu_id)"),
        ("input_specs: {n: {type: integer}}\n", "line 4, column 25: input_specs.n.type must be 'string', 'int', "),
        ("input_specs: {n: int}\n", "line 4, column 18: input_specs.n must be a mapping (keys: type, required, def"),
        ("input_specs: {n: {type: int, default: x}}\n", "line 4, column 18: input_specs.n: default 'x' is not of type"),
        ("volumes: {data: /d}\n", "line 4, column 10: volumes: 'data': a volume's two sides are absolute paths"),
        ("env: &a {A: x}\nsecret_env: *a\n", "line 5, column 13: aliases (*name) are not taken"),
        ("env: !!python/object:x {}\n", "line 4, column 6: the tag '!!python/object:x' is not taken"),
        ("timeout_s: !!int x\n", "line 4, column 12: the tag '!!int' is not taken"),
        ("timeout_s: !!float x\n", "line 4, column 12: 'x' cannot be read as a value"),
        ("? [a]\n: b\n", "line 4, column 3: a key must be one word"),
        ('env: {A: "\\ud800"}\n', "line 4, column 10: half a character (a lone surrogate)"),
        ("timeout_s: 1e999\n", "line 4, column 12: timeout_s: input should be a finite number"),
        ("env: {A: \x07}\n", "line 4, column 10: a character that YAML does not allow"),
    ],
)
def test_each_fault_has_its_place_and_says_what_is_allowed(tmp_path: Path, more: str, fault: str) -> None:
    (told,) = refused(tmp_path, START + more)
    assert told.startswith(fault)


def test_a_bottomless_file(tmp_path: Path) -> None:
    assert refused(tmp_path, START + "env: " + "[" * 5000) == ["line 1, column 1: nested too deep"]
    (fault,) = refused(tmp_path, START + "timeout_s: " + "9" * 5000)
    assert fault.startswith("line 4, column 12: '9999")
    assert fault.endswith("cannot be read as a value")


def test_what_is_missing_and_wrong_is_told_at_once_in_order(tmp_path: Path) -> None:
    told = refused(tmp_path, "# an op\nversion: 1\nimage: Not An Image\n")
    assert told[:2] == [
        "line 2, column 1: id is missing: the op's name",
        "line 2, column 10: version must be text: put it in quotes",
    ]
    assert told[2].startswith("line 3, column 8: image: 'Not An Image' is not an image name: write it as [registry/]")
    assert len(told) == 3
    many = refused(tmp_path, START + "".join(f"key{i}: x\n" for i in range(FAULTS_SHOWN + 5)))
    assert (len(many), many[-1]) == (FAULTS_SHOWN + 1, "and 5 more")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "holds no definition: it needs id, version, image"),
        (b"# nothing\n---\n", "holds no definition"),
        (b"- a\n", "line 1, column 1: a definition is a mapping (keys: "),
        (b"text\n", "line 1, column 1: a definition is a mapping (keys: "),
        (b"id: a\nimage: \xff\n", "line 2, column 8: a byte that is not UTF-8"),
        (b"#" * 300_000, "is larger than 256 KiB"),
    ],
)
def test_files_that_hold_something_else(tmp_path: Path, content: bytes, fault: str) -> None:
    (told,) = refused(tmp_path, content)
    assert told.startswith(fault)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="gyoza-tui init"):
        read_definitions(tmp_path / "gyoza.yml")
    with pytest.raises(CliError, match="cannot be read: Is a directory"):
        read_definitions(tmp_path)


def test_places_are_those_of_an_editor() -> None:
    (document,) = yaml_file.documents("a:\n  - b: 1\n    c: [x, y]\n")
    assert document.value == {"a": [{"b": 1, "c": ["x", "y"]}]}
    assert document.values["a", 0, "c", 1] == TextPlace(3, 12)
    assert document.keys["a", 0, "c"] == TextPlace(3, 5)
