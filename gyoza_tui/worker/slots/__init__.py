"""The runs at work in this worker: a slot for each, which runs its pipeline in a thread."""

from __future__ import annotations

from gyoza_tui.worker.slots.slots import Slots

__all__ = ["Slots"]
