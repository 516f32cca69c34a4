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
    Phase.WAITING: Look("◔", "w", ""),
    Phase.RETURNING: Look("◕", "r", ""),
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
_OF_SERVER: Final[dict[str, Look]] = {
    "HELD": Look("‖", "=", "$text-warning"),
    "PENDING": Look("·", ".", "$text-muted"),
    "ASSIGNED": Look("○", "o", ""),
}
_UNKNOWN: Final = Look("?", "?", "")

WORD_WIDTH: Final = max(map(len, Phase))


def look_of(word: str) -> Look:
    """Of a phase here, or of a run's state at the server."""
    return LOOKS[Phase(word)] if word in set(Phase) else _OF_SERVER.get(word, _UNKNOWN)
