"""An engine without live-restore ends its containers when it is stopped, or at its next start: the machine's fault."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gyoza_tui.backends.base import AttemptPhase, Exit, Handle, State
from gyoza_tui.backends.docker.backend import DockerBackend
from tests.backends.docker_ops import DockerOps
from tests.engine import PrivateEngine
from tests.waiting import until

pytestmark = pytest.mark.docker

_CODES = {"coded": 7, "polite": 0}
_OP = "trap 'exit {}' TERM; echo up; while :; do sleep 0.1; done"
_DEAF = "trap '' TERM; echo up; while :; do sleep 0.1; done"

Ending = Callable[[PrivateEngine], None]


@pytest.fixture
def ops(private_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerOps:
    monkeypatch.setenv("DOCKER_HOST", private_engine.host)
    return DockerOps(tmp_path)


class _Watch:
    """What a worker has of one op: its output, and how it ended once that is over."""

    def __init__(self, ops: DockerOps, script: str) -> None:
        self.handle: Handle = ops.shell(script)
        self.end: Exit | None = None
        self.said = b""
        output = ops.backend.output(self.handle, None)
        ops.backend.start(self.handle)

        def watch() -> None:
            for chunk in output:
                self.said += chunk.data
            self.end = _ended(ops.backend, self.handle)

        threading.Thread(target=watch, daemon=True).start()
        until(lambda: b"up" in self.said, "the op is up")


def _ended(backend: DockerBackend, handle: Handle) -> Exit:
    """As a pump waits: through the engine's absence."""
    ends: list[State] = []

    def ended() -> bool:
        try:
            ends.append(backend.wait(handle, 1))
        except Exception:
            return False
        return isinstance(ends[-1], Exit)

    until(ended, "its end is known", 40)
    assert isinstance(ends[-1], Exit)
    return ends[-1]


def _check(end: Exit) -> None:
    fault = end.doubt if end.code == 0 else end.machine_fault
    assert fault is not None, end
    assert "engine" in fault


@pytest.mark.parametrize(
    ("kind", "hurt"),
    [
        pytest.param("bridged_engine", PrivateEngine.stop, id="stopped"),
        pytest.param("bridged_engine", PrivateEngine.kill, id="killed", marks=pytest.mark.long),
        pytest.param("private_engine", PrivateEngine.stop, id="stopped-without-a-bridge", marks=pytest.mark.long),
        pytest.param("private_engine", PrivateEngine.kill, id="killed-without-a-bridge", marks=pytest.mark.long),
    ],
)
def test_ends_caused_by_the_engine_are_its_own(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, hurt: Ending
) -> None:
    """By the backend that saw it, and by one that comes later and has nothing but the engine's record."""
    engine: PrivateEngine = request.getfixturevalue(kind)
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    ops = DockerOps(tmp_path)
    watched = {name: _Watch(ops, _OP.format(code)) for name, code in _CODES.items()}
    hurt(engine)
    engine.start()
    until(lambda: all(each.end for each in watched.values()), "both have ended", 60)
    for name, each in watched.items():
        assert each.end is not None
        assert each.end.code == _CODES[name]
        _check(each.end)
    later = DockerBackend(ops.options)
    for each in watched.values():
        _check(_ended(later, each.handle))
    ops.backend = later  # which saw no trouble
    _, _, own = ops.run("exit 7")
    assert (own.code, own.machine_fault) == (7, None)
    _, _, own = ops.run("exit 0")
    assert (own.code, own.doubt) == (0, None)
    ops.close()


@pytest.mark.long
@pytest.mark.parametrize("hurt", [PrivateEngine.stop, PrivateEngine.kill], ids=["stopped", "killed"])
def test_what_ignores_the_engines_term_is_killed_by_it(
    ops: DockerOps, private_engine: PrivateEngine, hurt: Ending
) -> None:
    deaf, frozen = _Watch(ops, _DEAF), _Watch(ops, _OP.format(7))
    private_engine.client().pause(frozen.handle["id"])
    hurt(private_engine)
    private_engine.start()
    for each in (deaf, frozen):
        _check(_ended(DockerBackend(ops.options), each.handle))
        until(lambda each=each: each.end, "its watcher knows", 60)  # type: ignore[misc]
        assert each.end is not None
        _check(each.end)
    ops.close()


def test_an_end_long_before_the_engines_start_is_the_ops_own(
    ops: DockerOps, private_engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the time between says so: here that of a slow restart is taken to be none."""
    handle = ops.started("exit 7")
    until(lambda: ops.backend.state(handle) is not AttemptPhase.RUNNING, "it has ended")
    private_engine.stop()
    private_engine.start()
    _check(_ended(DockerBackend(ops.options), handle))
    monkeypatch.setattr("gyoza_tui.backends.docker.engine_starts._DOWN_S", 0.0)
    end = _ended(DockerBackend(ops.options), handle)
    assert (end.code, end.machine_fault) == (7, None)
    ops.close()
