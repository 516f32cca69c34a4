"""What a worker needs before it can run anything: shown until the server has answered for the first time."""

from __future__ import annotations

from typing import Final

from textual.content import Content
from textual.widgets import Static

from gyoza_tui.ui.format import duration
from gyoza_tui.ui.outside import one_line
from gyoza_tui.worker.control import Check, CheckState
from gyoza_tui.worker.snapshot import Snapshot

_GLYPHS: Final = {
    CheckState.OK: ("✓", "$text-success"),
    CheckState.WAITING: ("…", "dim"),
    CheckState.WARNING: ("!", "$text-warning"),
    CheckState.FAILED: ("✗", "$text-error"),
}
_NAME: Final = 8


class Checklist(Static):
    DEFAULT_CSS = """
    Checklist { height: auto; padding: 1 2; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._shown = Content()

    def show_snapshot(self, snapshot: Snapshot, checks: tuple[Check, ...]) -> None:
        shown = checklist_text(snapshot, checks)
        if not shown.is_same(self._shown):
            self._shown = shown
            self.update(shown)


def checklist_text(snapshot: Snapshot, checks: tuple[Check, ...]) -> Content:
    head = Content.assemble(("Before the first run", "bold"), "   ", one_line(snapshot.server_url))
    return Content("\n").join([head, Content(), *(line for check in checks for line in _lines(check)), _next(snapshot)])


def _lines(check: Check) -> list[Content]:
    glyph, style = _GLYPHS[check.state]
    lines = [Content.assemble(" ", (glyph, style), " ", (f"{check.name:<{_NAME}}", "bold"), " ", one_line(check.text))]
    if check.mend:
        lines.append(Content.assemble(" " * (_NAME + 4), one_line(check.mend).stylize("dim")))
    return lines


def _next(snapshot: Snapshot) -> Content:
    if snapshot.link.trouble is None and snapshot.link.beat_at is not None:
        return Content()
    if snapshot.next_try_s <= 0:
        return Content("\n asking the server now …")
    return Content(f"\n asking the server again in {duration(snapshot.next_try_s)} · R now")
