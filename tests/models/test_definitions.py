"""Inputs against definitions, and everything that a spec refuses at the door."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.definitions import (
    InputSpec,
    InputValidationError,
    OpDefinition,
    RetryPolicy,
    ValueType,
    fit_inputs,
)
from gyoza_tui.models.runs import EventReport, RunRequest
from gyoza_tui.models.states import EventType


def _definition(**specs: dict[str, Any]) -> OpDefinition:
    return OpDefinition.model_validate({"id": "op", "version": "1", "image": "op:1", "input_specs": specs})


def test_defaults_are_filled_in() -> None:
    definition = _definition(
        path={"type": "string"}, k={"type": "int", "required": False, "default": 3}, o={"required": False}
    )
    assert fit_inputs(definition, {"path": "a.jpg"}) == {"path": "a.jpg", "k": 3, "o": None}


def test_all_faults_are_told_at_once() -> None:
    definition = _definition(path={"type": "string"}, k={"type": "int"}, flag={"type": "bool"})
    with pytest.raises(InputValidationError) as error:
        fit_inputs(definition, {"k": True, "flag": 1, "typo": 0})
    assert error.value.errors == [
        "'typo' is not an input of op",
        "path is required (string)",
        "k must be int, not bool",
        "flag must be bool, not int",
    ]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (ValueType.INT, [0, -1, 10**30], [True, 1.0, "1", None]),
        (ValueType.FLOAT, [0.5, 1], [True, "1", None]),
        (ValueType.BOOL, [True, False], [0, 1, "true"]),
        (ValueType.STRING, ["", "a"], [1, None, b"a"]),
        (ValueType.LIST, [[], [1]], [(), {}, "a"]),
        (ValueType.DICT, [{}, {"a": 1}], [[], "a"]),
        (ValueType.ANY, [None, 1, [], {}], []),
    ],
)
def test_types(kind: ValueType, good: list[Any], bad: list[Any]) -> None:
    assert all(kind.accepts(value) for value in good)
    assert not any(kind.accepts(value) for value in bad)


def test_a_default_must_fit_its_type() -> None:
    with pytest.raises(ValidationError, match="not of type int"):
        InputSpec.model_validate({"type": "int", "default": "three"})


@pytest.mark.parametrize(
    "constraints",
    [
        {"cpu": -1},
        {"cpu": 10**10},
        {"cpu": 1.25},
        {"cpu": True},
        {"ram_mb": float("nan")},
        {"ram_mb": "12"},
        {"vram_mb": -1},
        {"gpu_id": 5000},
    ],
)
def test_constraints_that_no_machine_has(constraints: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Constraints.model_validate(constraints)


@pytest.mark.parametrize(
    "field",
    [
        {"image": "name/UPPER:1"},
        {"image": "a b"},
        {"image": "$(rm -rf /)"},
        {"image": "../../etc/passwd"},
        {"image": "local://../x"},
        {"image": "docker://x"},
        {"image": "x" * 401},
        {"env": {"A-B": "1"}},
        {"env": {"A": "nul\x00"}},
        {"volumes": {"relative": "/data"}},
        {"volumes": {"/data/../etc": "/data"}},
        {"timeout_s": 0},
        {"timeout_s": float("inf")},
        {"tags": ["a b"]},
        {"tags": [""]},
        {"priority": 1.5},
        {"priority": True},
        {"id": "a/b"},
        {"inputs": {"x": float("nan")}},
        {"inputs": {"x": "\ud800"}},
        {"inputs": {"x": "a" * (1 << 20)}},
        {"command": ["a"] * 1025},
        {"retry_policy": {"max_attempts": 0}},
    ],
)
def test_what_a_run_cannot_ask_for(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunRequest.model_validate({"image": "op:1"} | field)


@pytest.mark.parametrize("name", ["a", "a/b", "a:1", "host.name/a", "localhost:5000/a/b:tag", "a@sha256:" + "0" * 64])
def test_image_names(name: str) -> None:
    assert RunRequest.model_validate({"image": name}).image == name


@given(st.integers(1, 10_000), st.floats(0, 1000), st.floats(1, 10), st.floats(0, 1000))
def test_a_retrys_delay_is_bounded(failures: int, first: float, factor: float, most: float) -> None:
    policy = RetryPolicy(backoff_s=first, backoff_factor=factor, max_backoff_s=most)
    assert 0 <= policy.delay_s(failures) <= most


def test_delays_double() -> None:
    policy = RetryPolicy(backoff_s=1, max_backoff_s=5)
    assert [policy.delay_s(n) for n in (1, 2, 3, 4)] == [1, 2, 4, 5]


@pytest.mark.parametrize("msg", [-1, 101, "half", None])
def test_progress_is_a_percentage(msg: object) -> None:
    with pytest.raises(ValidationError, match="0 to 100"):
        EventReport.model_validate({"type": "PROGRESS", "msg": msg})


def test_the_references_name_for_an_events_type() -> None:
    assert EventReport.model_validate({"event_type": "INFO", "msg": "x"}).type is EventType.INFO


def test_an_events_size_is_limited() -> None:
    with pytest.raises(ValidationError, match="at most"):
        EventReport(type=EventType.INFO, msg="x" * 70_000)
    assert EventReport(type=EventType.COMPLETED, payload={"x": "x" * 70_000})
