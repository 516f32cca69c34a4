"""Who this worker is: to its server, and on what it makes at an engine."""

from __future__ import annotations

from typing import NamedTuple

from gyoza_tui.backends.base import Label


class Identity(NamedTuple):
    """Of one start of a worker."""

    worker_id: str
    instance_id: str
    """Stays with the state directory."""
    epoch: int
    """Grows with each start."""

    @property
    def labels(self) -> dict[str, str]:
        """What everything carries that this worker makes at an engine."""
        return {Label.WORKER: self.worker_id, Label.INSTANCE: self.instance_id}
