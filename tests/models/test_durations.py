"""Durations as a person types them."""

from __future__ import annotations

import pytest

from gyoza_tui.models import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("0", 0), ("1.5", 1.5), ("1e3", 1000), (" 5 ", 5), ("-1", -1),
        ("90s", 90), ("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("2d", 172_800), ("1w", 604_800), ("0.6h", 2160),
        ("1h30m", 5400), ("1h1m1s", 3661), ("1w2d", 777_600), ("10M", 600), ("10 m", 600), ("1h 30m", 5400),
        ("999999999w", 999_999_999 * 604_800),
    ],
)  # fmt: skip
def test_what_is_one(text: str, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "m", "10 minutes", "1h30", "10m5", "30m1h", "1m1m", "1y", "-10m", "1..5s", "nan", "soon", "x" * 99],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"^'.{0,40}' is no duration: write it as 90s, 10m, 1h30m or 2d$"):
        durations.seconds(text)


def test_a_number_alone_has_no_unit() -> None:
    assert durations.with_units("10") is None
    assert durations.with_units("10s") == 10
