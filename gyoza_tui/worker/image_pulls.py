"""One pull per image at a time, shared by all runs that wait for it, and never a reason to lose an image at hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

from gyoza_tui.backends.base import (
    Backend,
    BackendError,
    BackendUnavailable,
    ImageNotFound,
    PullCancelled,
    PullFailed,
    PullProgress,
)
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.images import DOCKER, registry_of
from gyoza_tui.worker.resting_registries import Registries
from gyoza_tui.worker.retry_notice import RetryNotice

PullPolicy: TypeAlias = Literal["always", "missing", "never"]

FRESH_S: Final = 60.0
"""A pull that succeeded is good for this long."""
ANSWER_S: Final = 5.0
"""How long a registry may take to answer when the image is here already."""
PULLS_AT_ONCE: Final = 3
RETRY_S: Final = (1.0, 5.0, 15.0)
_LOOK_S: Final = 0.05
_ABORT_S: Final = 5.0
_Key: TypeAlias = tuple[str, str]
_T = TypeVar("_T")


class ImagePulls:
    """Thread-safe; one per worker."""

    def __init__(
        self,
        clock: Clock,
        *,
        policy: PullPolicy = "always",
        timeout_s: float = 3600,
        inactivity_s: float = 120,
        retry_s: tuple[float, ...] = RETRY_S,
    ) -> None:
        """`timeout_s` is of a pull with all its tries; `retry_s` the pauses before the second try and those after."""
        self._policy = policy
        self._limits = _Limits(clock, timeout_s, inactivity_s, retry_s)
        self._clock = clock
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(PULLS_AT_ONCE)
        self._registries = Registries(clock)
        self._running: dict[_Key, _SharedPull] = {}
        self._fresh: dict[_Key, float] = {}

    def ensure(
        self,
        backend: Backend,
        image: str,
        on_progress: Callable[[PullProgress], None],
        cancel: threading.Event,
        on_warning: Callable[[str], None],
        on_again: Callable[[RetryNotice], None] = lambda _again: None,
    ) -> None:
        """Return when the image is on this machine, as the policy has it.

        Callbacks come in the caller's thread. Raises ImageNotFound, PullFailed, PullCancelled (this caller's `cancel`:
        others go on waiting for the same pull), DiskFull, BackendUnavailable.
        """
        here = backend.image_id(image)
        if self._policy == "never" and here is None:
            raise ImageNotFound(f"{image} is not on this machine, and this worker's owner set its pull policy to never")
        if here is not None and (self._policy != "always" or self._is_fresh((backend.name, image))):
            return
        if backend.name == DOCKER and (resting := self._registries.resting(registry_of(image))):
            if here is None:
                raise PullFailed(resting, retryable=True)
            on_warning(f"{resting}; using the image that is on this machine, {here}")
            return
        pull = self._join(backend, image, here)
        try:
            self._follow(pull, on_progress, cancel, on_warning, on_again)
        finally:
            self._leave(pull)

    def _is_fresh(self, key: _Key) -> bool:
        with self._lock:
            at = self._fresh.get(key)
        return at is not None and self._clock.boot() - at < FRESH_S

    def _join(self, backend: Backend, image: str, here: str | None) -> _SharedPull:
        key = (backend.name, image)
        with self._lock:
            pull = self._running.get(key)
            if pull is None:
                pull = _SharedPull(key, backend, image, here, self._limits)
                _start_thread(self._run, pull, f"pull-{image}"[:15])
                self._running[key] = pull
            pull.waiters += 1
            return pull

    def _run(self, pull: _SharedPull) -> None:
        try:
            while not self._slots.acquire(timeout=_LOOK_S):
                if pull.abandoned.is_set():
                    raise PullCancelled(f"pulling {pull.image} was cancelled")
            try:
                pull.run()
            finally:
                self._slots.release()
        except BackendError as error:
            pull.error = error
        except Exception as error:  # whatever a backend raises, its waiters must not wait for ever
            pull.error = BackendError(f"pulling {pull.image} went wrong: {error!r}")
        self._learn(pull)
        with self._lock:
            if self._running.get(pull.key) is pull:
                del self._running[pull.key]
            if pull.error is None and pull.renewed:
                self._fresh[pull.key] = self._clock.boot()
        pull.done.set()

    def _learn(self, pull: _SharedPull) -> None:
        """What a pull shows of its registry: also that there is no such image is an answer."""
        if pull.backend.name != DOCKER:
            return
        registry, error = registry_of(pull.image), pull.error
        if isinstance(error, PullFailed) and error.retryable:
            self._registries.failed(registry, str(error))
        elif pull.renewed and (error is None or isinstance(error, ImageNotFound | PullFailed)):
            self._registries.answered(registry)

    def _follow(
        self,
        pull: _SharedPull,
        on_progress: Callable[[PullProgress], None],
        cancel: threading.Event,
        on_warning: Callable[[str], None],
        on_again: Callable[[RetryNotice], None],
    ) -> None:
        told, shown = 0, PullProgress()
        again: RetryNotice | None = None
        while True:
            done = pull.done.wait(_LOOK_S)
            for words in pull.warnings[told:]:
                on_warning(words)
                told += 1
            if pull.progress != shown:
                shown = pull.progress
                on_progress(shown)
            if pull.again is not None and pull.again != again:
                again = pull.again
                on_again(again)
            if done:
                break
            if cancel.is_set():
                raise PullCancelled(f"pulling {pull.image} was cancelled")
        if pull.error is not None:
            raise pull.error

    def _leave(self, pull: _SharedPull) -> None:
        with self._lock:
            pull.waiters -= 1
            if pull.waiters == 0 and not pull.done.is_set():
                pull.abandoned.set()
                # Whoever comes now begins a pull of its own: this one is ending.
                if self._running.get(pull.key) is pull:
                    del self._running[pull.key]


class _Limits(NamedTuple):
    clock: Clock
    timeout_s: float
    inactivity_s: float
    retry_s: tuple[float, ...]


@dataclass(slots=True)
class _SharedPull:
    """One pull with its tries, in a thread of its own. Waiters read what it says and leave."""

    key: _Key
    backend: Backend
    image: str
    here: str | None
    """The digest of the image that is on this machine already."""
    limits: _Limits
    waiters: int = 0
    abandoned: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    progress: PullProgress = field(default_factory=PullProgress)
    warnings: list[str] = field(default_factory=list)
    again: RetryNotice | None = None
    """Why it is not the first try."""
    error: BackendError | None = None
    renewed: bool = True
    """Whether a registry has answered; an old image used for want of an answer is not good for a minute."""

    def run(self) -> None:
        deadline = self.limits.clock.boot() + self.limits.timeout_s
        if self.here is None:
            self._tries(deadline)
            return
        try:
            self._try(deadline)
        except (BackendUnavailable, PullCancelled):
            raise
        except BackendError as error:
            self.renewed = False
            self.warnings.append(f"{error}; using the image that is on this machine, {self.here}")

    def _tries(self, deadline: float) -> None:
        pauses = self.limits.retry_s
        for number, pause in enumerate((*pauses, None), start=2):
            try:
                self._try(deadline)
                return
            except PullFailed as error:
                if pause is None or not error.retryable or self.limits.clock.boot() + pause >= deadline:
                    raise
                self.warnings.append(f"{error}; trying again in {pause:g} s (try {number} of {len(pauses) + 1})")
                self.again = RetryNotice(f"{error}", self.limits.clock.utc().timestamp() + pause)
                if self.limits.clock.wait(self.abandoned, pause):
                    raise PullCancelled(f"pulling {self.image} was cancelled") from error

    def _try(self, deadline: float) -> None:
        """One call of the backend's pull, which is in another thread because only that can be timed."""
        attempt = _Attempt(self.limits.clock.boot())
        _start_thread(self._pull_once, attempt, "pull-stream")
        while not attempt.done.wait(_LOOK_S):
            failure = self._overdue(attempt, deadline)
            if failure is not None:
                attempt.cancel.set()
                if not attempt.done.wait(_ABORT_S) or isinstance(attempt.error, PullCancelled):
                    raise failure
                break
        if attempt.error is not None:
            raise attempt.error

    def _pull_once(self, attempt: _Attempt) -> None:
        def on_progress(progress: PullProgress) -> None:
            attempt.last_at = self.limits.clock.boot()
            attempt.fetching |= progress.layers_total > progress.layers_done
            self.progress = progress

        try:
            self.backend.pull(self.image, on_progress, attempt.cancel)
        except BackendError as error:
            attempt.error = error
        except Exception as error:
            attempt.error = BackendError(f"pulling {self.image} went wrong: {error!r}")
        attempt.done.set()

    def _overdue(self, attempt: _Attempt, deadline: float) -> BackendError | None:
        """Why the try is to be given up now."""
        now, limits = self.limits.clock.boot(), self.limits
        if self.abandoned.is_set():
            return PullCancelled(f"pulling {self.image} was cancelled")
        silent = self.progress.waits_for
        why = f": {silent} does not answer" if silent else ""
        if self.here is not None and not attempt.fetching and now - attempt.began_at >= ANSWER_S - 0.5:
            who = silent or f"the registry of {self.image}"
            return PullFailed(f"{who} did not answer within {ANSWER_S:g} s", retryable=True)
        if now >= deadline:
            return PullFailed(f"pulling {self.image} took longer than {limits.timeout_s:g} s{why}", retryable=True)
        if now - attempt.last_at >= limits.inactivity_s:
            words = f"pulling {self.image} made no progress for {limits.inactivity_s:g} s{why}"
            return PullFailed(words, retryable=True)
        return None


def _start_thread(target: Callable[[_T], None], argument: _T, name: str) -> None:
    """Raises BackendUnavailable."""
    try:
        threading.Thread(target=target, args=(argument,), name=name, daemon=True).start()
    except RuntimeError as error:
        raise BackendUnavailable(f"no image can be pulled now: {error}") from None


class _Attempt:
    def __init__(self, now: float) -> None:
        self.began_at = now
        self.last_at = now
        self.fetching = False
        """A newer image is on its way: the registry has answered, and the short patience is over."""
        self.cancel = threading.Event()
        self.done = threading.Event()
        self.error: BackendError | None = None
