"""The backends of this worker and whether each can take work now."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gyoza_tui.backends.base import Backend, BackendError
from gyoza_tui.backends.border import bordered
from gyoza_tui.models.images import ImageRef
from gyoza_tui.worker.notices import Notices

UNCHECKED = "not looked at yet"


class BackendPool:
    """Thread-safe. A backend that does not answer is the machine's trouble: its runs wait, others go on."""

    def __init__(self, backends: Mapping[str, Backend], notices: Notices) -> None:
        self._backends = {name: bordered(backend, self._report) for name, backend in backends.items()}
        self._notices = notices
        self._lock = threading.Lock()
        self._trouble: dict[str, str | None] = dict.fromkeys(backends, UNCHECKED)
        self._answered: set[str] = set()

    def __getitem__(self, name: str) -> Backend:
        return self._backends[name]

    def __contains__(self, name: object) -> bool:
        return name in self._backends

    def items(self) -> list[tuple[str, Backend]]:
        return list(self._backends.items())

    def of(self, image: str) -> Backend | None:
        """The backend that an image name asks for; ValueError for a name that is none."""
        return self._backends.get(ImageRef.parse(image).backend)

    @property
    def trouble(self) -> dict[str, str | None]:
        """Per backend why it cannot take work, in words, or None."""
        with self._lock:
            return dict(self._trouble)

    def has_answered(self, name: str) -> bool:
        """Whether it could take work at some time: then it will again."""
        return name in self._answered

    @property
    def looked_at(self) -> bool:
        """Whether every backend was looked at: before that nothing is known against or for any run."""
        return UNCHECKED not in self.trouble.values()

    @property
    def available(self) -> list[str]:
        return [name for name, trouble in self.trouble.items() if trouble is None]

    @property
    def ops(self) -> list[str]:
        """The owner's own ops that can be run now."""
        found: list[str] = []
        for name in self.available:
            with suppress(BackendError):
                found += self._backends[name].ops()
        return found

    @property
    def disks(self) -> list[Path]:
        """What the backends fill, as far as they can say it."""
        found: list[Path] = []
        for backend in self._backends.values():
            with suppress(BackendError):
                found += backend.disks()
        return found

    def check(self) -> bool:
        """Look at every backend; whether something changed."""
        changed = False
        for name, backend in self._backends.items():
            trouble: str | None = None
            try:
                backend.check()
            except BackendError as error:
                trouble = str(error)
            changed |= self._note(name, trouble)
        return changed

    def _note(self, name: str, trouble: str | None) -> bool:
        with self._lock:
            old = self._trouble[name]
            self._trouble[name] = trouble
            if trouble is None:
                self._answered.add(name)
        if old == trouble:
            return False
        if trouble is None:
            self._notices.say(f"{name} answers", backend=name)
        elif old is None or old is UNCHECKED:
            self._notices.say(f"{name}: {trouble}; claiming nothing for it", "warning", backend=name)
        return True

    def _report(self, text: str, error: Exception) -> None:
        """A fault of a backend, for the log."""
        self._notices.say(text, "error", traceback="".join(traceback.format_exception(error)))

    def close(self) -> None:
        for backend in self._backends.values():
            with suppress(BackendError):  # reported by its border
                backend.close()
