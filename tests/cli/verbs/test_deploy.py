"""`deploy` against the real server."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.definitions import OpDefinition
from tests.cli.conftest import Verb
from tests.servers import ServerThread

TRAIN = """\
id: train
version: "1"
image: busybox
input_specs:
  data: {type: string}
  epochs: {type: int, required: false, default: 10}
constraints: {cpu: 2}
"""


def written(text: str) -> Path:
    """As the file that is taken where none is named."""
    file = Path("gyoza.yml")
    file.write_text(text)
    return file


def test_a_new_definition_is_sent(verb: Verb, served: ServerThread) -> None:
    written(TRAIN)
    said = verb("deploy")
    assert said.code == 0, said.err
    assert said.out.splitlines() == [
        "train@1: new",
        '  + image: "busybox"',
        "  + constraints.cpu: 2",
        '  + id: "train"',
        '  + input_specs.data.type: "string"',
        '  + input_specs.epochs.type: "int"',
        "  + input_specs.epochs.required: false",
        "  + input_specs.epochs.default: 10",
    ]
    assert served.client.get_definition("train").constraints.cpu == 2


def test_only_what_differs_is_shown_and_what_is_unchanged_not_sent(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(TRAIN)
    verb("deploy")
    written(TRAIN.replace("cpu: 2", "ram_mb: 64").replace("default: 10", "default: 20"))
    said = verb("deploy")
    assert said.out.splitlines() == [
        "train@1: changed",
        "  + constraints.ram_mb: 64",
        "  - input_specs.epochs.default: 10",
        "  + input_specs.epochs.default: 20",
        "  - constraints.cpu: 2",
    ]

    def unwanted(_: GyozaClient, definition: OpDefinition) -> OpDefinition:
        raise AssertionError(f"{definition.id} is sent")

    monkeypatch.setattr(GyozaClient, "upsert_definition", unwanted)
    assert verb("deploy").out == "train@1: unchanged\n"


def test_a_new_version_is_shown_beside_the_latest(verb: Verb, served: ServerThread) -> None:
    written(TRAIN)
    verb("deploy")
    written(TRAIN.replace('"1"', '"2"').replace("busybox", "busybox:2"))
    assert verb("deploy").out.splitlines() == [
        "train@2: new, beside 1",
        '  - image: "busybox"',
        '  + image: "busybox:2"',
    ]
    written(TRAIN)
    assert verb("deploy").out == "train@1: unchanged\n", "an older version is compared with itself"


def test_a_dry_run_changes_nothing(verb: Verb, served: ServerThread) -> None:
    written(TRAIN)
    said = verb("deploy", "--dry-run")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("train@1: new (not sent: --dry-run)\n  + ")
    assert served.client.list_definitions() == []


def test_json(verb: Verb, served: ServerThread) -> None:
    written(TRAIN + f"---\n{TRAIN}".replace("id: train", "id: other") + "secret_env: {TOKEN: s3cret}\n")
    said = verb("deploy", "--json")
    told = json.loads(said.out)
    assert [(each["definition"]["id"], each["change"]) for each in told] == [("train", "new"), ("other", "new")]
    assert OpDefinition.model_validate(told[0]["definition"]) == served.client.get_definition("train")
    assert '+ image: "busybox"' in told[0]["difference"]
    assert "s3cret" not in said.out + said.err
    assert [each["change"] for each in json.loads(verb("deploy", "--json").out)] == ["unchanged", "secrets sent again"]


def test_secrets_are_never_shown_and_always_sent(verb: Verb, served: ServerThread) -> None:
    written(TRAIN + "secret_env: {TOKEN: s3cret}\n")
    first = verb("deploy")
    assert '  + secret_env.TOKEN: "***"' in first.out
    again = verb("deploy")
    assert again.out == "train@1: secrets sent again\n"
    assert "s3cret" not in first.out + first.err + again.out + again.err


def test_a_server_without_codes_of_ours(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(client: GyozaClient, name: str, version: str | None = None) -> OpDefinition:
        request = httpx.Request("GET", f"{client.base_url}/definitions/{name}")
        raise httpx.HTTPStatusError("404", request=request, response=httpx.Response(404, request=request))

    monkeypatch.setattr(GyozaClient, "get_definition", unknown)
    written(TRAIN)
    assert verb("deploy").code == 0
    monkeypatch.undo()
    assert served.client.get_definition("train").id == "train"


def test_a_file_with_faults_sends_nothing(verb: Verb, served: ServerThread) -> None:
    file = written(TRAIN + f"---\n{TRAIN}".replace("image: busybox", "imge: \x1b[2J"))
    said = verb("deploy")
    assert (said.code, said.out) == (2, "")
    assert f"gyoza-tui: {file}, line" in said.err
    assert "\x1b" not in said.err
    assert served.client.list_definitions() == []


def test_no_file_and_no_server(verb: Verb) -> None:
    said = verb("deploy")
    assert (said.code, said.err) == (
        2,
        "gyoza-tui: there is no gyoza.yml; `gyoza-tui init DIR` writes an op with one\n",
    )
    written(TRAIN)
    assert verb("deploy", "--server", "http://127.0.0.1:1").code == 3
