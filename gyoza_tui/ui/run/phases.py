"""How each phase of a run looks: word, glyph and colour, of which the word alone is enough."""

from __future__ import annotations

from typing import Final, NamedTuple

from gyoza_tui.worker.view.snapshot import Phase

FINISHED: Final = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED, Phase.RELEASED, Phase.LOST})
"""Nothing of it is left to do here, but for cleaning up."""


class Look(NamedTuple):
    glyph: str
    ascii: str
    style: str
    """Of glyph and word, as `Content` takes it."""

    def mark(self, *, ascii_only: bool) -> str:
        return self.ascii if ascii_only else self.glyph


LOOKS: Final[dict[Phase, Look]] = {
    Phase.QUEUED: Look("·", ".", "$text-muted"),
    Phase.PULLING: Look("↓", "v", ""),
    Phase.STARTING: Look("○", "o", ""),
    Phase.RUNNING: Look("►", ">", "bold"),
    Phase.FROZEN: Look("‖", "=", "$text-warning"),
    Phase.CANCELLING: Look("◌", "x", "$text-warning"),
    Phase.RELEASING: Look("◌", "<", "$text-warning"),
    Phase.COLLECTING: Look("◇", "c", ""),
    Phase.TO_DELIVER: Look("↑", "^", ""),
    Phase.COMPLETED: Look("✓", "+", "$text-muted"),
    Phase.FAILED: Look("✗", "!", "$text-error"),
    Phase.CANCELLED: Look("⊘", "x", "$text-muted"),
    Phase.RELEASED: Look("«", "<", "$text-muted"),
    Phase.LOST: Look("?", "?", "$text-warning"),
}
"""No emoji codepoint: those are two cells wide on some terminals."""

WORD_WIDTH: Final = max(map(len, Phase))
