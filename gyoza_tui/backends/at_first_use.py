"""A backend that takes its time to load."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from gyoza_tui.backends.base import Backend


class AtFirstUse:
    """Thread-safe. Makes the backend when something is first asked of it; then it is that backend in all."""

    def __init__(self, name: str, make: Callable[[], Backend]) -> None:
        self.name = name
        self._make = make
        self._making = threading.Lock()
        self._made: Backend | None = None

    def close(self) -> None:
        """Nothing is made only to be closed."""
        with self._making:
            if self._made is not None:
                self._made.close()

    def __getattr__(self, attribute: str) -> Any:
        with self._making:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, attribute)
