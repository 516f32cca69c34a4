"""What may be stored: one value that slips through would make its run unreadable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza_tui.models.identity import check_env_name, check_id
from gyoza_tui.models.limits import JSON_DEPTH_MAX
from gyoza_tui.models.values import BadValue, check_json, json_size

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(json_values)
def test_what_passes_can_be_written_and_read(value: Any) -> None:
    check_json(value)
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode()) == value
    assert json_size(value) <= len(text.encode())


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, float("nan")]}, "value.a[1]"),
        ({"a": float("inf")}, "value.a"),
        (["\udfff"], "value[0]"),
        ({"\ud800": 1}, "value"),
        ({1: 2}, "value"),
        ((1, 2), "value"),
        (b"x", "value"),
        (10**4000, "value"),
        ({"a": {1, 2}}, "value.a"),
    ],
)
def test_what_does_not_says_where(value: Any, path: str) -> None:
    with pytest.raises(BadValue) as error:
        check_json(value)
    assert error.value.path == path


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_depth() -> None:
    check_json(_nested(JSON_DEPTH_MAX))
    with pytest.raises(BadValue, match="deeper"):
        check_json(_nested(JSON_DEPTH_MAX + 1))


@pytest.mark.parametrize("name", ["a", "lab-gpu-01", "A.b_c", "x" * 64])
def test_ids(name: str) -> None:
    assert check_id(name) == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "a\n", "\x1b[31m", "x" * 65, "ä"])
def test_no_ids(name: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        check_id(name)


def test_environment_names() -> None:
    assert check_env_name("_A1") == "_A1"
    for name in ("", "1A", "A-B", "A=B", "A\x00"):
        with pytest.raises(ValueError, match="environment variable"):
            check_env_name(name)
