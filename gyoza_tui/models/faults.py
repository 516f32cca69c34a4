"""What a person has to mend, told by an exception of its own so that it can be caught without loading anything."""

from __future__ import annotations


class SettingsError(ValueError):
    """Settings that cannot be used; `str()` lists every fault and what to do."""
