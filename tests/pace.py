"""How much the machine holds up a thread that only waits, and when: what a test of lateness may not count."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, Self

_LOOK_S: Final = 0.05


class Pace:
    """Measures from its entering to its leaving."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._held_up: list[tuple[float, float]] = []
        """From when to when, of the monotonic clock, a wait took longer than it should."""
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(10)

    def held_up_s(self, begin: float, end: float) -> float:
        """For how long between these times of the monotonic clock."""
        return sum(max(0.0, min(end, until) - max(begin, since)) for since, until in self._held_up)

    def _measure(self) -> None:
        began = time.monotonic()
        while not self._over.wait(_LOOK_S):
            woken = time.monotonic()
            if woken > began + _LOOK_S:
                self._held_up.append((began + _LOOK_S, woken))
            began = woken
