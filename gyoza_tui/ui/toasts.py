"""Words that come and go in a corner."""

from __future__ import annotations

from textual.notifications import SeverityLevel
from textual.widget import Widget

from gyoza_tui.ui.outside_text import plain_line


def say(node: Widget, text: str, severity: SeverityLevel = "information") -> None:
    """In the place of what was said before. Never markup: most of these words come from outside."""
    node.app.clear_notifications()
    node.notify(plain_line(text), severity=severity, markup=False)
