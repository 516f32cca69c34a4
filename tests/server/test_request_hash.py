"""A repeated create is known by what it said, whatever fields have come since, and by the hashes of older versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import Field

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.runs import DefinitionRunRequest, RunRequest
from gyoza_tui.server import request_hash
from tests.server.cluster import Cluster, cluster
from tests.server.old_database import as_version

FULL: Final[dict[str, Any]] = {
    "id": "full",
    "image": "busybox:1",
    "inputs": {"b": [1, 2.0, None, "é"], "a": {}},
    "priority": 7,
    "constraints": {"cpu": 0.5, "ram_mb": 64, "gpu_id": 0},
    "retry_policy": {"max_attempts": 3, "backoff_s": 10},
    "event_delivery": {"topic": "t", "attributes": {"x": 1}},
    "command": ["sh", "-c", "true"],
    "env": {"A": "b"},
    "secret_env": {"TOKEN": "hush"},
    "volumes": {"/data": "/d"},
    "timeout_s": 60,
    "tags": ["gpu"],
}
OF_OP: Final[dict[str, Any]] = {"id": "of-op", "inputs": {"n": 1}, "priority": 0, "version": "1"}
OLD: Final = (
    ("/runs", {"id": "bare", "image": "busybox"}, "ddc9e0bfa6855102dc3fc14f953e34ccb966e2088a0f6217dbfe8057b1df28e7"),
    ("/runs", FULL, "fb625b504b911695cb7758c49d40bb626389205b03e3720ca01fa9d3a194b45c"),
    (
        "/definitions/op/runs",
        {"id": "bare-of-op", "inputs": {"n": 1}},
        "139779a8f8bc9a800a310754818a48b7bcfef91bdc104a758eec29dce5f3ad76",
    ),
    ("/definitions/op/runs", OF_OP, "475d14dd09f86067eac6cd390f09df52ec4c7b6fd543c5a7c317adb1ea8f1ed8"),
)
"""Creates, and the hashes that the server stored of them when its database had version 4."""


class LaterConstraints(Constraints):
    gpus: int | None = None


class LaterRunRequest(RunRequest):
    """As a later version may have it: with fields before, between and within those that there are."""

    constraints: LaterConstraints = Field(default_factory=LaterConstraints)
    labels: dict[str, str] = Field(default_factory=dict)
    note: str = "none"


def hash_of(**fields: Any) -> str:
    return request_hash.of(RunRequest.model_validate({"image": "busybox"} | fields), None)


def test_a_field_that_comes_later_changes_no_hash() -> None:
    later = LaterRunRequest.model_validate(FULL)
    assert request_hash.of(later, None) == request_hash.of(RunRequest.model_validate(FULL), None)
    said = LaterRunRequest.model_validate(FULL | {"constraints": FULL["constraints"] | {"gpus": 2}})
    assert request_hash.of(said, None) != request_hash.of(later, None)


def test_hashes_stay_as_they_are() -> None:
    """A change here refuses the repeats of all runs that are stored."""
    full = request_hash.of(RunRequest.model_validate(FULL), None)
    assert full == "9aa10739ce18575ca039c860d4865fc78f68549926f9fe162599a846bd96eee4"
    of_op = request_hash.of(DefinitionRunRequest.model_validate(OF_OP), "op")
    assert of_op == "2fa86dcad9bb12833d3287809560576f844509808b018e62728296d648dff145"


@pytest.mark.parametrize(
    "same",
    [
        {"id": "another"},
        {"priority": 5, "timeout_s": None, "may_submit": "no", "env": {}, "constraints": {"cpu": None}},
        {"retry_policy": {"max_attempts": 1}, "detach": False, "event_delivery": {"topic": ""}},
        {"parent": {"run": "p", "attempt": 1, "lease": "x"}},
        {"parent": {"run": "p", "attempt": 2, "lease": "y"}, "priority": 9},
    ],
)
def test_what_says_nothing_of_the_run_does_not_count(same: dict[str, Any]) -> None:
    assert hash_of(**same) == hash_of()


def test_the_order_of_members_does_not_count() -> None:
    one = {"inputs": {"a": {"x": 1, "y": [{"p": 1, "q": 2}]}, "b": 2}, "env": {"A": "1", "B": "2"}}
    other = {"env": {"B": "2", "A": "1"}, "inputs": {"b": 2, "a": {"y": [{"q": 2, "p": 1}], "x": 1}}}
    assert hash_of(**one) == hash_of(**other)


@pytest.mark.parametrize(
    "other",
    [
        {"image": "alpine"},
        {"priority": 4},
        {"inputs": {"n": None}},
        {"inputs": {"n": []}},
        {"inputs": {"n": [1, 2]}},
        {"inputs": {"n": [2, 1]}},
        {"detach": True},
        {"may_submit": "any"},
        {"constraints": {"gpu_id": 0}},
        {"secret_env": {"TOKEN": "x"}},
        {"secret_env": {"TOKEN": "y"}},
        {"command": []},
    ],
    ids=str,
)
def test_what_it_says_counts(other: dict[str, Any]) -> None:
    others: list[dict[str, Any]] = [{}, {"inputs": {"n": 1}}, {"command": ["true"]}, {"secret_env": {"TOKEN": "z"}}]
    assert hash_of(**other) not in [hash_of(**each) for each in others]


def test_of_a_definition_its_name_and_the_overrides_count() -> None:
    request = DefinitionRunRequest(inputs={"n": 1})
    overriding = request.model_copy(update={"constraints": Constraints()})
    hashes = [request_hash.of(request, "a"), request_hash.of(request, "b"), request_hash.of(overriding, "a")]
    assert len(set(hashes)) == 3


@pytest.fixture
def upgraded(tmp_path: Path) -> Iterator[Cluster]:
    """A server on a database of version 4 that holds these runs."""
    with cluster(tmp_path / "new") as gyoza:
        gyoza.post("/definitions", {"id": "op", "version": "1", "image": "busybox", "input_specs": {"n": {}}})
        for path, body, _ in OLD:
            gyoza.post(path, body, 201)
    as_version(4, tmp_path / "new", tmp_path / "old")
    with closing(sqlite3.connect(tmp_path / "old")) as file, file:
        for _, body, stored in OLD:
            file.execute("UPDATE runs SET request_hash = ? WHERE id = ?", (stored, body["id"]))
    with cluster(tmp_path / "old") as gyoza:
        yield gyoza


def test_a_repeat_is_known_by_the_hash_of_the_version_before(upgraded: Cluster) -> None:
    for path, body, _ in OLD:
        assert upgraded.post(path, body, 201)["id"] == body["id"]
        assert upgraded.post(path, body | {"detach": False}, 201)["id"] == body["id"]


@pytest.mark.parametrize("other", [{"inputs": {"n": 2}}, {"priority": 3}, {"timeout_s": 9}, {"detach": True}], ids=str)
def test_another_request_with_the_id_of_an_old_run_is_refused(upgraded: Cluster, other: dict[str, Any]) -> None:
    for path, body, _ in OLD:
        upgraded.post(path, body | other, 409)


def test_a_definition_of_another_name_is_another_request(upgraded: Cluster) -> None:
    upgraded.post("/definitions", {"id": "op2", "version": "1", "image": "busybox", "input_specs": {"n": {}}})
    upgraded.post("/definitions/op2/runs", OF_OP, 409)
