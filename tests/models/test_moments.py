"""Moments as a person types them."""

from __future__ import annotations

from datetime import datetime

import pytest

from gyoza_tui.models.moments import moment


def test_what_is_one() -> None:
    assert moment("1h30m").seconds(10_000) == 4600
    assert moment("2026-11-20").seconds(0) == datetime(2026, 11, 20).timestamp()  # noqa: DTZ001 - the machine's own
    assert moment("2026-11-20T10:00+00:00").seconds(0) == 1795168800


@pytest.mark.parametrize("text", ["", "1", "1y", "yesterday", "2026-13-01", "0000-01-01"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=f"^'{text}' is no time: write it as 30m, 1h, 2d, 2026-11-20 or 2026-11-20T1"):
        moment(text)
