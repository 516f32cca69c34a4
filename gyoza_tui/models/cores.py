"""Cores of a CPU, of which a run may ask for tenths."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from gyoza_tui.models.limits import CPU_MAX

_PRECISION: Final = 1e-6


def read_cores(value: Any) -> int | float:
    """A number of cores with at most one decimal, a whole one as int. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= CPU_MAX:
        raise ValueError(f"must be a number of cores between 0 and {CPU_MAX}")
    if abs(value * 10 - round(value * 10)) > _PRECISION:
        raise ValueError("must be a number of cores with at most one decimal, as 0.5 or 2")
    return cores(tenths(value))


def tenths(value: float | None) -> int:
    """For sums, which must be exact; what is not named counts nothing."""
    return round((value or 0) * 10)


def cores(amount: int) -> int | float:
    """Of so many tenths; a whole number is an int, as peers that know no others expect it."""
    return amount / 10 if amount % 10 else amount // 10


Cores = Annotated[
    int | float,
    BeforeValidator(read_cores),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": CPU_MAX, "multipleOf": 0.1}),
]
