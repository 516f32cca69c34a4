"""Whose end it was, by what an engine says of itself and of the container."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendError,
    BackendOptions,
    BackendUnavailable,
    Exit,
    Stream,
    StreamMark,
)
from gyoza_tui.backends.docker.backend import DockerBackend
from gyoza_tui.backends.docker.end_notice import Death
from gyoza_tui.backends.docker.ends import read_state
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.log_source import EngineLog
from gyoza_tui.backends.docker.verdict import Verdicts

_NOW = 1_800_000_000.0
_RUNNING = {"Status": "running", "Running": True, "StartedAt": "2027-01-15T08:00:00Z"}
_ENDED = {"Status": "exited", "StartedAt": "2027-01-15T07:00:00Z", "FinishedAt": "2027-01-15T07:59:59Z"}


class _Engine(Engine):
    """Says of itself what a test wants."""

    def __init__(self, *, began: float | None = None, signalled: bool = False, live_restore: bool = False) -> None:
        super().__init__({})
        self._began, self._signalled, self._live_restore = began, signalled, live_restore
        self.away = False

    def ping(self) -> None:
        if self.away:
            raise BackendUnavailable("away")

    def began_at(self) -> float | None:
        return self._began

    def signalled(self, container: str, since: float, until: float) -> bool:
        return self._signalled

    def live_restore(self) -> bool:
        return self._live_restore


def _end(code: int) -> Exit:
    return Exit(code, started_at=_NOW - 3600, finished_at=_NOW - 1)


def _inspected(record: dict[str, Any], code: int = 0) -> dict[str, Any]:
    return {"State": {"ExitCode": code, **record}}


@pytest.mark.parametrize("code", [0, 7])
def test_one_that_is_started_again_after_a_signal_has_not_ended(code: int) -> None:
    looks = [_inspected(_ENDED, code), _inspected(_RUNNING)]
    verdicts = Verdicts(_Engine(signalled=True), lambda _container: looks.pop(0))
    assert verdicts.complete("c1", _end(code)) is AttemptPhase.RUNNING
    assert verdicts.known("c1") is None, "its end is still to come"


@pytest.mark.parametrize("code", [0, 7])
def test_one_that_stays_ended_after_a_signal_has_ended_by_it(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyoza_tui.backends.docker.verdict._SECOND_LOOKS_S", 0.3)
    verdicts = Verdicts(_Engine(signalled=True), lambda _container: _inspected(_ENDED, code))
    end = verdicts.complete("c1", _end(code))
    assert isinstance(end, Exit)
    assert (end.code, end.machine_fault, end.doubt) == (code, None, None)


@pytest.mark.parametrize(
    ("began", "code", "live_restore", "fault"),
    [
        (_NOW, 7, False, True),
        (_NOW, 0, False, True),
        (_NOW, 7, True, False),
        (_NOW, 255, True, True),
        (_NOW - 2, 255, True, True),
        (_NOW - 2, 7, False, True),
        (_NOW - 2, 7, True, False),
        (_NOW + 500, 7, False, True),
        (_NOW + 700, 7, False, False),
        (_NOW - 7200, 7, False, False),
        (_NOW - 7200, 255, False, False),
        (None, 7, False, False),
    ],
)
def test_an_end_is_judged_by_when_the_engine_began(
    began: float | None, code: int, live_restore: bool, fault: bool
) -> None:
    """The op lived for an hour until a second before `_NOW`. An engine gives 255 to a container that it misses."""
    verdicts = Verdicts(_Engine(began=began, live_restore=live_restore), lambda _container: _inspected(_ENDED, code))
    end = verdicts.complete("c1", _end(code))
    assert isinstance(end, Exit)
    assert ((end.doubt if code == 0 else end.machine_fault) is not None) == fault
    assert (end.doubt is None) == (code != 0 or not fault)


def test_exit_0_while_the_engine_goes_away_is_in_doubt() -> None:
    engine = _Engine()
    engine.away = True
    end = Verdicts(engine, lambda _container: None).complete("c1", _end(0))
    assert isinstance(end, Exit)
    assert end.doubt is not None


def test_what_the_worker_stopped_is_its_own_doing() -> None:
    verdicts = Verdicts(_Engine(began=_NOW, signalled=True), lambda _container: _inspected(_RUNNING))
    verdicts.stopping("c1")
    assert verdicts.complete("c1", _end(7)) == _end(7)


def test_a_look_at_the_end_that_the_engine_refuses_breaks_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = DockerBackend(BackendOptions("w1", "i1", tmp_path))

    def refused(_container: str) -> None:
        raise BackendError("the Docker engine refused: 500")

    monkeypatch.setattr(backend._containers, "inspect", refused)
    backend._outputs._stream_ended("c1", Death(_NOW, None))
    backend._outputs._stream_ended("c1", None)


def test_a_restart_from_outside_is_noted_once_however_often_the_output_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = DockerBackend(BackendOptions("w1", "i1", tmp_path))
    monkeypatch.setattr(backend._containers, "inspect", lambda _container: _inspected(_RUNNING))
    monkeypatch.setattr(EngineLog, "read", lambda *_, **__: iter([]))
    backend._outputs._lived["c1"] = _NOW - 3600
    notes: list[str | None] = []
    for _ in range(3):
        output = backend.output({"id": "c1"}, {Stream.STDOUT: StreamMark(1, b"x", _NOW - 7200, _NOW - 7200)})
        threading.Timer(0.1, output.close).start()
        notes += [chunk.note for chunk in output]
    assert notes == ["the container was restarted from outside at 08:00:00 UTC"]


@pytest.mark.parametrize(
    ("code", "sent", "signal", "from_outside"),
    [(143, False, None, False), (143, True, "SIGTERM", True), (137, False, "SIGKILL", False), (7, True, None, False)],
)
def test_143_is_a_signal_only_where_one_was_sent(
    code: int, sent: bool, signal: str | None, from_outside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs exit with it by themselves; the engine knows an exit code alone."""
    monkeypatch.setattr("gyoza_tui.backends.docker.verdict._SECOND_LOOKS_S", 0)
    recorded = read_state(_ENDED | {"ExitCode": code})
    assert isinstance(recorded, Exit)
    end = Verdicts(_Engine(signalled=sent), lambda _container: None).complete("c1", recorded)
    assert isinstance(end, Exit)
    assert (end.code, end.signal, end.from_outside) == (code, signal, from_outside)
