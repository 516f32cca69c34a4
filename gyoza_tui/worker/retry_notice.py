"""What an attempt waits for after something went wrong that may mend."""

from __future__ import annotations

from typing import NamedTuple


class RetryNotice(NamedTuple):
    """Why something is tried again, and when."""

    why: str
    """What went wrong, in words."""
    at: float
    """When it is tried again, in UTC seconds; past while it is being tried."""
    held: bool = False
    """Whether the attempt is out of reach, on another engine than the one that answers now."""
