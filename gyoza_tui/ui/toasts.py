"""Words that come and go in a corner."""

from __future__ import annotations

from textual.notifications import SeverityLevel
from textual.widget import Widget

from gyoza_tui.ui.plain import one_line


def say(node: Widget, text: str, severity: SeverityLevel = "information") -> None:
    """Never markup: most of these words come from outside."""
    node.notify(one_line(text).plain, severity=severity, markup=False)
