"""What a duty could not do with a backend, each said once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gyoza_tui.backends.base import BackendError
from gyoza_tui.worker.notices.notices import Notices

_KEPT_MAX: Final = 256


class Complaints:
    def __init__(self, notices: Notices, again_s: float) -> None:
        """`again_s`: within how many seconds what failed is tried again."""
        self._notices = notices
        self._again_s = again_s
        self._said: set[str] = set()

    @contextmanager
    def about(self, what: str) -> Iterator[None]:
        """A backend's error ends what is done here, and is reported."""
        try:
            yield
        except BackendError as error:
            self.once(f"{what}: {error}; it is tried again within {self._again_s:g} s")

    def once(self, text: str) -> None:
        if text not in self._said:
            if len(self._said) >= _KEPT_MAX:
                self._said.clear()
            self._said.add(text)
            self._notices.say(text, "warning")
