"""Which Docker engine a container was made on: another one knows nothing of it, which does not mean that it is gone."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gyoza_tui.backends.base import AttemptElsewhere, Handle
from gyoza_tui.backends.docker.engine import Engine

_KEY: Final = "engine"
"""Its place in a handle; one that an older version journaled lacks it."""


class EngineIdentity(NamedTuple):
    """The first three are the same after a restart, and tell engines apart: of one host, and of hosts cloned from one
    image, the id alone does not."""

    id: str
    name: str
    """Its host's."""
    data: str
    """Its data directory."""
    address: str
    """Where this worker reached it."""

    def is_(self, other: EngineIdentity) -> bool:
        return self[:3] == other[:3]

    def __str__(self) -> str:
        return f"{self.name} at {self.address}"


class EngineIdentities:
    """Thread-safe. What is known of the engine is asked for again after it did not answer: another may answer then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: tuple[int, EngineIdentity] | None = None

    def noted(self, handle: Handle) -> Handle:
        """The handle of a container that is on this engine, with what identifies it."""
        return handle if _KEY in handle else {**handle, _KEY: self._current()._asdict()}

    def check(self, handle: Handle) -> None:
        """Raise AttemptElsewhere when a container that was not found was made on another engine."""
        noted: dict[str, Any] = handle.get(_KEY) or {}
        if not noted:
            return
        made_on, now = EngineIdentity(**noted), self._asked()
        if now.is_(made_on):
            return
        if (made_on.name, made_on.address) == (now.name, now.address):
            raise AttemptElsewhere(
                f"made on another Docker engine than the one that now answers at {now}: it was reinstalled, or given "
                "another data directory. Bring the former one back, or cancel the run if its container is gone"
            )
        raise AttemptElsewhere(
            f"made on another Docker engine ({made_on}) than the one that answers now ({now}): "
            "point DOCKER_HOST back there, or cancel the run"
        )

    def _current(self) -> EngineIdentity:
        troubles = self._engine.troubles.count
        known = self._known
        if known is None or known[0] != troubles:
            self._known = known = (troubles, self._asked())
        return known[1]

    def _asked(self) -> EngineIdentity:
        return EngineIdentity(*self._engine.identity(), self._engine.place.address)
