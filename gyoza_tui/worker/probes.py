"""Which backends, and which GPUs, can start nothing although the engine answers: found out by starting something.

A run whose create or start failed asks for a probe. Where the probe fails too, the fault is the machine's: the
backend (or, where it can start what needs no GPU, that GPU) is in trouble until a later probe succeeds.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from gyoza_tui.backends.base import Backend, BackendError, Label, Spec
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.worker.backoff import Backoff, doubling
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.state_dir.owner import Owner
from gyoza_tui.worker.state_dir.state_dir import attempt_name

_PAUSES_S: Final = doubling(5.0, 300.0)
_RUN: Final = "probe"


class Subject(NamedTuple):
    """What a probe is made like: the run that failed."""

    image: str
    """Without its scheme."""
    gpu: GpuInfo | None = None


class Prober:
    """Makes probes that a crash cannot leave behind: they carry this process, as `gyoza-tui run` marks its own."""

    def __init__(self, directory: Path, worker_id: str, instance_id: str) -> None:
        """`directory` holds an empty one for each backend that is probed."""
        self._directory = directory
        self._worker_id = worker_id
        self._instance_id = instance_id

    def trouble(self, backend: Backend, subject: Subject) -> str | None:
        """Why the backend starts nothing now; None when it does. Takes as long as a start."""
        try:
            with self._spec(backend.name, subject) as spec:
                backend.probe(spec)
        except (BackendError, OSError) as error:
            return str(error)
        return None

    @contextmanager
    def _spec(self, backend: str, subject: Subject) -> Iterator[Spec]:
        name = attempt_name(_RUN, 1, self._instance_id)
        labels: dict[str, str] = {
            Label.WORKER: self._worker_id,
            Label.RUN: _RUN,
            Label.ATTEMPT: "1",
            Label.LEASE: self._instance_id,
            Label.OWNER: str(Owner.this_process()),
        }
        run_dir = self._directory / f"{_RUN}-{backend}"
        run_dir.mkdir(exist_ok=True, mode=0o700)
        try:
            yield Spec(name, subject.image, run_dir, labels=labels, gpu=subject.gpu)
        finally:
            with suppress(OSError):
                run_dir.rmdir()


class _Trouble(NamedTuple):
    words: str
    subject: Subject
    backoff: Backoff
    """Of its probes."""


_Place: TypeAlias = tuple[str, int | None]
"""A backend, or one GPU at it."""


class Probes:
    """Thread-safe. Probes of one backend are made one after another."""

    def __init__(self, clock: Clock, notices: Notices, prober: Prober) -> None:
        self._clock = clock
        self._notices = notices
        self._prober = prober
        self._probing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()
        self._troubles: dict[_Place, _Trouble] = {}

    def trouble(self, name: str) -> str | None:
        """Why that backend starts nothing."""
        with self._lock:
            known = self._troubles.get((name, None))
        return known.words if known else None

    @property
    def gpu_trouble(self) -> dict[int, str]:
        """By index: the GPUs with which a backend starts nothing, and why."""
        with self._lock:
            return {gpu: known.words for (_, gpu), known in self._troubles.items() if gpu is not None}

    def after_failure(self, name: str, backend: Backend, subject: Subject) -> str | None:
        """Why this machine could not start a run like that; None: it can, so that the fault is the run's."""
        with self._probing[name]:
            # what a neighbour's failure has found out a moment ago is not probed again
            known = self._known(name, subject)
            if known is not None:
                return known.words
            found = self._found(name, backend, subject)
            if found is None:
                return None
            place, words = found
            self._note(place, words, subject, Backoff(self._clock, _PAUSES_S, jitter=False))
            return words

    def hurry(self, name: str) -> None:
        """Probe soon what is in trouble there: its engine was away, and may have been repaired."""
        with self._lock:
            for place, known in self._troubles.items():
                if place[0] == name:
                    known.backoff.hurry()

    def again(self, name: str, backend: Backend) -> bool:
        """Probe what is due at that backend; whether something changed."""
        changed = False
        for place in self._due(name):
            with self._probing[name]:
                changed |= self._probe_again(backend, place)
        return changed

    def next_in_s(self, names: Collection[str]) -> float | None:
        """Seconds until a probe of one of these backends is due; None while all is well there."""
        with self._lock:
            waits = [known.backoff.remaining_s for (name, _), known in self._troubles.items() if name in names]
        return min(waits, default=None)

    def _due(self, name: str) -> list[_Place]:
        with self._lock:
            return [p for p, known in self._troubles.items() if p[0] == name and known.backoff.remaining_s == 0]

    def _known(self, name: str, subject: Subject) -> _Trouble | None:
        with self._lock:
            places: list[_Place] = [(name, None)] + ([(name, subject.gpu.index)] if subject.gpu else [])
            return next((self._troubles[place] for place in places if place in self._troubles), None)

    def _found(self, name: str, backend: Backend, subject: Subject) -> tuple[_Place, str] | None:
        words = self._prober.trouble(backend, subject)
        if words is None:
            return None
        if subject.gpu is not None and self._prober.trouble(backend, subject._replace(gpu=None)) is None:
            return (name, subject.gpu.index), words
        return (name, None), words

    def _probe_again(self, backend: Backend, place: _Place) -> bool:
        with self._lock:
            known = self._troubles[place]
        found = self._found(place[0], backend, known.subject)
        if found is None or found[0] != place:
            with self._lock:
                del self._troubles[place]
            self._notices.say(f"{_words(place)} starts runs again", backend=place[0])
        if found is not None:
            self._note(*found, known.subject, known.backoff)
        return found is None or found != (place, known.words)

    def _note(self, place: _Place, words: str, subject: Subject, backoff: Backoff) -> None:
        backoff.fail()
        with self._lock:
            news = place not in self._troubles
            self._troubles[place] = _Trouble(words, subject, backoff)
        if news:
            text = f"{_words(place)}: {words}; claiming nothing for it until a probe starts"
            self._notices.say(text, "warning", backend=place[0])


def _words(place: _Place) -> str:
    name, gpu = place
    return name if gpu is None else f"{name} with GPU {gpu}"
