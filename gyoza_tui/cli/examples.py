"""The examples at the end of a verb's `--help`."""

from __future__ import annotations

from typing import Final

_AS_IT_STANDS: Final = "\b"
"""Before a paragraph of a help text: its lines are not wrapped."""


def examples(*lines: str) -> str:
    """For a verb's `epilog=`: each line is a command as one types it, `gyoza-tui` included."""
    return "\n".join([_AS_IT_STANDS, "Examples:", *(f"  {line}" for line in lines)])
