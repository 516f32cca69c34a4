"""What each action must be seen to do, by its id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from tests.ui.terminal.seat import Seat

Act: TypeAlias = Callable[[], None]
"""Presses the key, or chooses in the palette what has none."""
Proof: TypeAlias = Callable[[Seat, Act], None]

PROOFS: Final[dict[str, Proof]] = {}


def proves(action: str) -> Callable[[Proof], Proof]:
    """The proof begins on the plain main screen with the focus on the run list, and may end anywhere."""

    def keep(proof: Proof) -> Proof:
        assert action not in PROOFS
        PROOFS[action] = proof
        return proof

    return keep
