"""The backends of this worker and whether each can take work now."""

from __future__ import annotations

import math
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gyoza_tui.backends.base import Backend, BackendError
from gyoza_tui.backends.fault_border import bordered
from gyoza_tui.worker.backend_trouble import UNCHECKED
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.probes import Probes, Subject


class BackendPool:
    """Thread-safe. A backend that does not answer, or starts nothing, is the machine's trouble: its runs wait, others
    go on. Both are kept apart: an engine that answers may still start nothing."""

    def __init__(self, backends: Mapping[str, Backend], notices: Notices, probes: Probes) -> None:
        self._backends = {name: bordered(backend, self._report) for name, backend in backends.items()}
        self._notices = notices
        self._probes = probes
        self._lock = threading.Lock()
        self._unanswered: dict[str, str | None] = dict.fromkeys(backends, UNCHECKED)
        self._answered: set[str] = set()

    def __getitem__(self, name: str) -> Backend:
        return self._backends[name]

    def __contains__(self, name: object) -> bool:
        return name in self._backends

    def items(self) -> list[tuple[str, Backend]]:
        return list(self._backends.items())

    @property
    def trouble(self) -> dict[str, str | None]:
        """Per backend why it cannot take work, in words, or None."""
        with self._lock:
            unanswered = dict(self._unanswered)
        return {name: words or self._probes.trouble(name) for name, words in unanswered.items()}

    @property
    def gpu_trouble(self) -> dict[int, str]:
        """By index: the GPUs with which nothing can be started, and why."""
        return self._probes.gpu_trouble

    @property
    def troubles(self) -> dict[str, str]:
        """All that is in trouble, `docker` and `GPU 0` alike, and why; what was not looked at yet is not."""
        known = {name: words for name, words in self.trouble.items() if words not in (None, UNCHECKED)}
        return {**known, **{f"GPU {gpu}": words for gpu, words in self.gpu_trouble.items()}}

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
    def answering(self) -> list[str]:
        """Those that can be asked, whether or not they can start anything."""
        with self._lock:
            return [name for name, words in self._unanswered.items() if words is None]

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
            changed |= self._ask(name)
            if name in self.answering:
                changed |= self._probes.again(name, backend)
        return changed

    def next_probe_s(self) -> float:
        """Seconds until `check` has a probe to make."""
        due = self._probes.next_in_s(self.answering)
        return math.inf if due is None else due

    def fault(self, name: str, subject: Subject) -> str | None:
        """After a run that could not be started: why this machine cannot start it; None where the fault is the run's.

        Takes as long as a ping and up to four starts.
        """
        self._ask(name)
        with self._lock:
            unanswered = self._unanswered[name]
        return unanswered or self._probes.after_failure(name, self._backends[name], subject)

    def _ask(self, name: str) -> bool:
        trouble: str | None = None
        try:
            self._backends[name].check()
        except BackendError as error:
            trouble = str(error)
        return self._note(name, trouble)

    def _note(self, name: str, trouble: str | None) -> bool:
        with self._lock:
            old = self._unanswered[name]
            self._unanswered[name] = trouble
            if trouble is None:
                self._answered.add(name)
        if old == trouble:
            return False
        if trouble is None:
            self._probes.hurry(name)
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
