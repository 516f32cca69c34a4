"""What a worker needs before it can run anything: shown until the server has answered for the first time."""

from __future__ import annotations

from typing import Final

from textual.content import Content
from textual.widgets import Static

from gyoza_tui.ui.outside_text import one_line
from gyoza_tui.worker.view.control import Check, CheckState
from gyoza_tui.worker.view.snapshot import Snapshot

_GLYPHS: Final = {
    CheckState.OK: ("✓", "$text-success"),
    CheckState.WAITING: ("…", "dim"),
    CheckState.WARNING: ("!", "$text-warning"),
    CheckState.FAILED: ("✗", "$text-error"),
}
_NAME: Final = 8
_MARGIN: Final = _NAME + 4


class Checklist(Static):
    DEFAULT_CSS = """
    Checklist { height: auto; padding: 1 2; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._shown = Content()
        self._told: tuple[Snapshot, tuple[Check, ...]] | None = None

    def show_snapshot(self, snapshot: Snapshot, checks: tuple[Check, ...]) -> None:
        self._told = snapshot, checks
        shown = checklist_text(snapshot, checks, self.content_size.width)
        if not shown.is_same(self._shown):
            self._shown = shown
            self.update(shown)

    def on_resize(self) -> None:
        if self._told is not None:
            self.show_snapshot(*self._told)


def checklist_text(snapshot: Snapshot, checks: tuple[Check, ...], width: int) -> Content:
    head = Content.assemble(("Before the first run", "bold"), "   ", one_line(snapshot.server_url))
    lines = (line for check in checks for line in _lines(check, max(1, width - _MARGIN)))
    return Content("\n").join([head, *_next(snapshot), Content(), *lines])


def _lines(check: Check, width: int) -> list[Content]:
    glyph, style = _GLYPHS[check.state]
    begin = Content.assemble(" ", (glyph, style), " ", (f"{check.name:<{_NAME}}", "bold"), " ")
    words = one_line(check.text).wrap(width)
    words += one_line(check.mend).stylize("$text-muted").wrap(width) if check.mend else []
    blank = Content(" " * _MARGIN)
    return [Content.assemble(begin if line is words[0] else blank, line) for line in words]


def _next(snapshot: Snapshot) -> list[Content]:
    if snapshot.link.trouble is None and snapshot.link.beat_at is not None:
        return []
    if snapshot.next_try_s <= 0:
        return [Content("asking the server now …")]
    return [Content(f"asking the server again in {snapshot.next_try_s:.0f} s · R now")]
