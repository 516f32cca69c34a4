"""`definitions`: the ops that the server knows by name."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from gyoza_tui.models.definitions import OpDefinition
from tests.cli.conftest import Verb
from tests.servers import ServerThread

TRAIN = {
    "id": "train",
    "image": "registry.local/train:2",
    "input_specs": {
        "data": {"type": "string"},
        "epochs": {"type": "int", "required": False, "default": 10},
        "seed": {"type": "int", "required": False},
    },
    "output_specs": {"loss": {"type": "float"}},
    "constraints": {"cpu": 2, "vram_mb": 8000},
    "secret_env": {"TOKEN": "hunter2"},
    "retry_policy": {"max_attempts": 3},
    "tags": ["lab"],
}


@pytest.fixture
def known(served: ServerThread) -> ServerThread:
    """`train` 2, then 1: the server's latest is 1; and `chat`."""
    for version in ("2", "1"):
        served.client.upsert_definition(OpDefinition.model_validate(TRAIN | {"version": version}))
    served.client.upsert_definition(OpDefinition(id="chat", version="1", image="busybox"))
    return served


def test_the_table(verb: Verb, known: ServerThread) -> None:
    head, *rows = verb("definitions").out.splitlines()
    assert head.split() == ["NAME", "VERSION", "IMAGE", "INPUTS"]
    assert [row.split()[:3] for row in rows] == [
        ["chat", "1", "busybox"],
        ["train", "1", "registry.local/train:2"],
        ["train", "2", "registry.local/train:2"],
    ]
    assert rows[1].endswith("data: string, epochs: int = 10, seed: int?")


def test_all_about_one(verb: Verb, known: ServerThread) -> None:
    assert verb("definitions", "train@2").out.splitlines() == [
        "train@2",
        "  image    registry.local/train:2",
        '  env      {"TOKEN": "***"}',
        "  needs    cpu 2, vram 8000 MB, tag lab",
        "  retries  up to 3 attempts",
        "  input    data: string",
        "  input    epochs: int = 10",
        "  input    seed: int?",
        "  output   loss: float",
    ]
    both = verb("definitions", "train").out.splitlines()
    assert [line for line in both if line.startswith("train")] == ["train@1", "train@2"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("train@9", "train has no version 9; there are 1, 2"), ("tain", "no definition tain; there are chat, train")],
)
def test_one_that_is_not_there(verb: Verb, known: ServerThread, name: str, words: str) -> None:
    said = verb("definitions", name)
    assert (said.code, said.out) == (1, "")
    assert words in said.err


def test_json_is_of_the_models(verb: Verb, known: ServerThread) -> None:
    several = TypeAdapter(list[OpDefinition])
    listed = several.validate_json(verb("definitions", "--json").out)
    assert [(each.id, each.version) for each in listed] == [("chat", "1"), ("train", "1"), ("train", "2")]
    assert several.validate_json(verb("definitions", "train@1", "--json").out) == [listed[1]]


def test_none(verb: Verb, served: ServerThread) -> None:
    assert verb("definitions") == (0, "", "no definition is known; `gyoza-tui deploy` makes one\n")
    assert verb("definitions", "--json") == (0, "[]\n", "")
