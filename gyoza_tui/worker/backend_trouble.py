"""What a view is told of a backend beside what it says itself."""

from __future__ import annotations

from typing import Final

UNCHECKED: Final = "not looked at yet"
"""The trouble of one that nobody has looked at."""
