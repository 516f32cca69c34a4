"""Sizes in words, and as a person types them."""

from __future__ import annotations

import pytest

from gyoza_tui.models import sizes
from gyoza_tui.models.limits import KIB, MIB


@pytest.mark.parametrize(
    ("text", "megabytes"), [("512", 512), ("512m", 512), ("4g", 4096), ("4G", 4096), (" 4 g ", 4096), ("-1", -1)]
)
def test_what_is_one(text: str, megabytes: int) -> None:
    assert sizes.megabytes(text) == megabytes


@pytest.mark.parametrize("text", ["", "g", "4t", "4gb", "-4g", "1.5g", "1e3", "much"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=f"^'{text}' is no size: write it in MiB as 512, or as 512m or 4g$"):
        sizes.megabytes(text)


@pytest.mark.parametrize(
    ("size", "words"), [(16 * MIB, "16 MiB"), (4 * KIB, "4 KiB"), (MIB + 1, "1048577 bytes"), (0, "0 bytes")]
)
def test_a_limit_in_words(size: int, words: str) -> None:
    assert sizes.in_words(size) == words
