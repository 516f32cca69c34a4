"""The rules of pulling: policy, sharing, patience. On a scripted backend; with the engine where a registry matters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from gyoza_tui.backends.base import (
    Backend,
    BackendError,
    BackendUnavailable,
    ImageNotFound,
    PullCancelled,
    PullFailed,
    PullProgress,
)
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.worker.image_pulls import ImagePulls, PullPolicy
from gyoza_tui.worker.retry_notice import RetryNotice
from tests.backends.docker_ops import DockerOps
from tests.engine import Registry
from tests.images import BUSYBOX
from tests.waiting import until


class _Clock(SystemClock):
    """Real time, and what the test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def boot(self) -> float:
        return super().boot() + self.ahead


class _Registry:
    """The two calls of a backend that pulling uses; `script` answers each pull in turn, the last one for ever."""

    name = "docker"

    def __init__(self, *script: BackendError | str, here: str | None = None) -> None:
        self.here = here
        self.script = list(script) or ["ok"]
        self.pulls: list[str] = []
        self.now = 0
        self.most = 0
        self.gate = threading.Event()
        self._lock = threading.Lock()

    def image_id(self, image: str) -> str | None:
        return self.here

    def pull(self, image: str, on_progress: Callable[[PullProgress], None], cancel: threading.Event) -> None:
        with self._lock:
            self.pulls.append(image)
            self.now += 1
            self.most = max(self.most, self.now)
            step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        try:
            if step == "helper":
                on_progress(PullProgress(waits_for="the credential helper x"))
            if step in ("hang", "helper"):
                while not self.gate.wait(0.01):
                    if cancel.is_set():
                        raise PullCancelled(image)
            if step == "fetch":
                on_progress(PullProgress(1, 100, 0, 1))
                self.gate.wait(10)
            if isinstance(step, BackendError):
                raise step
        finally:
            with self._lock:
                self.now -= 1


class _Caller:
    """One run that waits for an image, in a thread of its own."""

    def __init__(self, pulls: ImagePulls, backend: _Registry, image: str = "op:1") -> None:
        self.cancel = threading.Event()
        self.warnings: list[str] = []
        self.again: list[RetryNotice] = []
        self.progress: list[PullProgress] = []
        self.outcome: list[BackendError | None] = []
        told = (self.progress.append, self.cancel, self.warnings.append, self.again.append)
        self._arguments: tuple[Any, ...] = (backend, image, *told)
        self._pulls = pulls
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._pulls.ensure(*self._arguments)
            self.outcome.append(None)
        except BackendError as error:
            self.outcome.append(error)

    def result(self) -> BackendError | None:
        until(lambda: self.outcome, "the pull is decided")
        return self.outcome[0]


def _pulls(clock: _Clock | None = None, policy: PullPolicy = "always", **limits: Any) -> ImagePulls:
    return ImagePulls(clock or _Clock(), policy=policy, **{"retry_s": (0.01, 0.01), **limits})


@pytest.mark.parametrize(
    ("policy", "here", "pulled"),
    [
        ("always", None, 1),
        ("always", "sha256:a", 1),
        ("missing", None, 1),
        ("missing", "sha256:a", 0),
        ("never", "a", 0),
    ],
)
def test_the_policy_decides_whether_a_registry_is_asked(policy: PullPolicy, here: str | None, pulled: int) -> None:
    backend = _Registry(here=here)
    assert _Caller(_pulls(policy=policy), backend).result() is None
    assert len(backend.pulls) == pulled


def test_never_and_not_here_is_said_in_words() -> None:
    backend = _Registry()
    error = _Caller(_pulls(policy="never"), backend).result()
    assert isinstance(error, ImageNotFound)
    assert "pull policy to never" in str(error)


def test_a_success_is_good_for_a_minute() -> None:
    clock, backend = _Clock(), _Registry(here="sha256:a")
    pulls = _pulls(clock)
    for _ in range(3):
        assert _Caller(pulls, backend).result() is None
    assert len(backend.pulls) == 1
    clock.ahead = 61
    assert _Caller(pulls, backend).result() is None
    assert len(backend.pulls) == 2


def test_the_machines_failures_are_tried_again_visibly() -> None:
    down = PullFailed("registry down", retryable=True)
    caller = _Caller(_pulls(retry_s=(0.1, 0.1)), backend := _Registry(down, down, "ok"))
    assert caller.result() is None
    assert len(backend.pulls) == 3
    assert "try 2 of 3" in caller.warnings[0]
    assert "try 3 of 3" in caller.warnings[1]
    assert [again.why for again in caller.again] == ["registry down"] * 2
    assert 0.1 <= caller.again[1].at - caller.again[0].at < 10
    caller = _Caller(_pulls(), backend := _Registry(down))
    assert caller.result() is down
    assert len(backend.pulls) == 3


@pytest.mark.parametrize(
    "error", [ImageNotFound("no"), PullFailed("login", retryable=False), BackendUnavailable("engine away")]
)
def test_what_trying_again_cannot_mend_is_not_tried_again(error: BackendError) -> None:
    caller = _Caller(_pulls(), backend := _Registry(error))
    assert caller.result() is error
    assert len(backend.pulls) == 1


@pytest.mark.parametrize("error", [ImageNotFound("no"), PullFailed("down", retryable=True)])
def test_an_image_at_hand_is_used_after_one_try(error: BackendError) -> None:
    pulls = _pulls()
    caller = _Caller(pulls, backend := _Registry(error, here="sha256:abc"))
    assert caller.result() is None
    assert len(backend.pulls) == 1
    assert "sha256:abc" in caller.warnings[0]
    assert _Caller(pulls, backend).result() is None
    assert len(backend.pulls) == 2, "what no registry confirmed is not good for a minute"


def test_a_silent_registry_costs_an_image_at_hand_five_seconds() -> None:
    clock = _Clock()
    caller = _Caller(_pulls(clock), registry := _Registry("hang", here="sha256:abc"))
    until(lambda: registry.pulls, "the question")
    clock.ahead = 4
    caller.thread.join(0.2)
    assert caller.outcome == []
    clock.ahead = 5
    assert caller.result() is None
    assert "did not answer within 5 s" in caller.warnings[0]


def test_a_newer_image_on_its_way_is_not_cut_off_after_five_seconds() -> None:
    clock = _Clock()
    caller = _Caller(_pulls(clock), backend := _Registry("fetch", here="sha256:old"))
    until(lambda: caller.progress, "the first layer comes")
    clock.ahead = 30
    caller.thread.join(0.3)
    assert caller.outcome == []
    backend.gate.set()
    assert caller.result() is None
    assert caller.warnings == []


@pytest.mark.parametrize(
    ("limits", "words"), [({"inactivity_s": 0.3}, "no progress"), ({"timeout_s": 0.3}, "longer than")]
)
def test_a_pull_without_progress_or_end_fails(limits: dict[str, Any], words: str) -> None:
    caller = _Caller(_pulls(retry_s=(), **limits), _Registry("hang"))
    error = caller.result()
    assert isinstance(error, PullFailed)
    assert words in str(error)
    assert error.retryable


def test_a_registry_that_failed_rests_longer_each_time_and_no_other_does() -> None:
    clock, down = _Clock(), PullFailed("no route", retryable=True)
    pulls, away, other = _pulls(clock, retry_s=()), _Registry(down), _Registry()
    for rest in (5, 10, 20, 40, 80, 160, 300, 300):
        assert _Caller(pulls, away, "far:5000/op:1").result() is down
        resting = _Caller(pulls, away, "far:5000/other:2").result()
        assert isinstance(resting, PullFailed)
        assert str(resting) == f"the registry far:5000 did not answer, next try in {rest} s: no route"
        assert resting.retryable
        clock.ahead += rest
    assert len(away.pulls) == 8
    assert _Caller(pulls, other, "op:1").result() is None
    away.script = ["ok"]
    assert _Caller(pulls, away, "far:5000/op:1").result() is None
    away.script = [down]
    assert _Caller(pulls, away, "far:5000/op:2").result() is down
    assert "next try in 5 s" in str(_Caller(pulls, away, "far:5000/op:2").result())


def test_an_image_at_hand_does_not_wait_for_a_registry_that_rests() -> None:
    pulls, away = _pulls(retry_s=()), _Registry(PullFailed("no route", retryable=True))
    _Caller(pulls, away, "far:5000/op:1").result()
    at_hand = _Registry("hang", here="sha256:abc")
    caller = _Caller(pulls, at_hand, "far:5000/op:2")
    assert caller.result() is None
    assert "no route; using the image that is on this machine, sha256:abc" in caller.warnings[0]
    assert at_hand.pulls == []


@pytest.mark.parametrize("answer", [ImageNotFound("no"), PullFailed("login", retryable=False)])
def test_a_registry_that_says_no_has_answered(answer: BackendError) -> None:
    clock, away = _Clock(), _Registry(PullFailed("no route", retryable=True), answer)
    pulls = _pulls(clock, retry_s=())
    _Caller(pulls, away, "far:5000/op:1").result()
    clock.ahead = 5
    for _ in range(2):
        assert _Caller(pulls, away, "far:5000/op:1").result() is answer


def test_a_backend_without_a_registry_waits_for_none_and_wakes_none() -> None:
    pulls, away = _pulls(retry_s=()), _Registry(PullFailed("no route", retryable=True))
    local = _Registry(here="sha256:abc")
    local.name = "local"
    _Caller(pulls, away, "op:1").result()
    caller = _Caller(pulls, local, "op")
    assert caller.result() is None
    assert caller.warnings == []
    assert "the registry docker.io did not answer" in str(_Caller(pulls, away, "op:2").result())


def test_pulls_of_one_registry_that_fail_together_make_it_rest_once() -> None:
    clock, away = _Clock(), _Registry("hang")
    pulls = _pulls(clock, retry_s=(), inactivity_s=100)
    callers = [_Caller(pulls, away, f"far:5000/op:{number}") for number in range(3)]
    until(lambda: away.now == 3, "all three pull")
    clock.ahead = 101
    assert all(isinstance(caller.result(), PullFailed) for caller in callers)
    assert "next try in 5 s" in str(_Caller(pulls, away, "far:5000/op:9").result())


def test_waiters_share_a_pull_and_the_last_to_leave_ends_it() -> None:
    pulls, backend = _pulls(), _Registry("hang")
    first, second = _Caller(pulls, backend), _Caller(pulls, backend)
    until(lambda: backend.now == 1, "one pull runs")
    first.cancel.set()
    assert isinstance(first.result(), PullCancelled)
    assert backend.now == 1
    assert second.outcome == []
    second.cancel.set()
    assert isinstance(second.result(), PullCancelled)
    until(lambda: backend.now == 0, "nobody waits, nobody pulls")
    assert len(backend.pulls) == 1
    backend.script = ["ok"]
    assert _Caller(pulls, backend).result() is None


def test_a_pull_without_a_thread_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of threads: neither this caller nor those who come for the same image later."""
    registry, pulls = _Registry("ok"), _pulls()
    start, begun = threading.Thread.start, []

    def limited(allowed: int) -> Callable[[threading.Thread], None]:
        def start_some(thread: threading.Thread) -> None:
            if thread.name.startswith("pull-"):
                begun.append(thread.name)
                if len(begun) > allowed:
                    raise RuntimeError("can't start new thread")
            start(thread)

        return start_some

    for allowed in (0, 1):  # the pull itself, and the one try of it
        begun.clear()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", limited(allowed))
            failed = _Caller(pulls, registry).result()
        assert isinstance(failed, BackendUnavailable)
        assert "can't start new thread" in str(failed)
    assert _Caller(pulls, registry).result() is None
    assert registry.pulls == ["op:1"]


def test_three_pulls_at_once() -> None:
    pulls, backend = _pulls(), _Registry("hang")
    callers = [_Caller(pulls, backend, f"op:{number}") for number in range(6)]
    until(lambda: backend.now == 3, "three pull")
    callers[5].cancel.set()
    assert isinstance(callers[5].result(), PullCancelled)
    backend.gate.set()
    assert [caller.result() for caller in callers[:5]] == [None] * 5
    assert backend.most == 3


@pytest.fixture
def ops(docker_engine: docker.APIClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerOps]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    ops = DockerOps(tmp_path)
    yield ops
    ops.close()


@pytest.mark.docker
def test_the_registry_goes_away_under_an_image_at_hand(
    ops: DockerOps, docker_engine: docker.APIClient, registry: Callable[..., Registry]
) -> None:
    source = registry()
    name = source.name("op:1")
    source.push(docker_engine, BUSYBOX, name)
    backend: Backend = ops.backend
    warnings: list[str] = []

    def ensure(policy: PullPolicy) -> None:
        _pulls(policy=policy).ensure(backend, name, lambda _: None, threading.Event(), warnings.append)

    try:
        with pytest.raises(ImageNotFound):
            ensure("never")
        ensure("missing")
        ensure("always")
        assert warnings == []
        source.stop()
        for policy in ("never", "missing"):
            ensure(policy)
        assert warnings == []
        ensure("always")
        assert str(backend.image_id(name)) in warnings[0]
    finally:
        docker_engine.remove_image(name)


@pytest.mark.docker
def test_a_hanging_registry_does_not_hold_up_an_image_at_hand(
    ops: DockerOps, docker_engine: docker.APIClient, hanging_registry: str
) -> None:
    name = f"{hanging_registry}/op:1"
    docker_engine.tag(BUSYBOX, name)
    warnings: list[str] = []
    began = time.monotonic()
    _pulls().ensure(ops.backend, name, lambda _: None, threading.Event(), warnings.append)
    assert time.monotonic() - began < 15
    assert "did not answer" in warnings[0]
    docker_engine.remove_image(name)


@pytest.mark.parametrize("here", [None, "sha256:1"])
def test_what_of_this_machine_does_not_answer_is_named(here: str | None) -> None:
    clock = _Clock()
    caller = _Caller(_pulls(clock, inactivity_s=100, retry_s=()), _Registry("helper", here=here))
    until(lambda: caller.progress, "the helper is asked")
    clock.ahead = 101
    ended = caller.result()
    assert "the credential helper x" in (str(ended) if here is None else caller.warnings[0])
