"""Cores in tenths: what a run may ask for, and sums that stay exact."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.cores import cores, tenths
from gyoza_tui.models.limits import CPU_MAX


@pytest.mark.parametrize(
    ("told", "written"), [("2", "2"), ("2.0", "2"), ("0.5", "0.5"), ("0.1", "0.1"), ("0", "0"), ("1e1", "10")]
)
def test_a_whole_number_stays_one_on_the_wire(told: str, written: str) -> None:
    need = Constraints.model_validate_json(f'{{"cpu": {told}}}')
    assert json.loads(need.model_dump_json(exclude_none=True), parse_float=str, parse_int=str) == {"cpu": written}


@pytest.mark.parametrize("value", [-0.1, 0.05, 1.25, CPU_MAX + 0.1, True, "0.5", float("nan"), float("inf"), [1]])
def test_what_is_no_number_of_cores(value: Any) -> None:
    with pytest.raises(ValidationError, match="must be a number of cores"):
        Constraints(cpu=value)


@given(st.lists(st.integers(0, CPU_MAX * 10), max_size=50))
def test_sums_are_exact(amounts: list[int]) -> None:
    assert sum(tenths(cores(amount)) for amount in amounts) == sum(amounts)
