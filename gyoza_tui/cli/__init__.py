"""The verbs of `gyoza-tui`, one small file per group of verbs; whatever is heavy is imported inside its verb."""

from __future__ import annotations

from typing import Final

PROGRAM: Final = "gyoza-tui"
SHELL_ASKS: Final = "_GYOZA_TUI_COMPLETE"
"""The environment variable by which a shell's script asks the program what to offer."""
