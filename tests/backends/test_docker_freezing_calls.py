"""When an engine is asked to pause a container, and when it is asked again: its record lags behind its answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.freezing import Freezing


class SlowRecord:
    """An engine with one container, whose record agrees with an answered call only after some looks."""

    def __init__(self, looks: int) -> None:
        self.calls: list[str] = []
        self.paused = False
        self.freezing = Freezing(cast(Engine, self), self.inspect)
        self.stop_at: int | None = None
        """Before which look it is asked to stop."""
        self._lag = looks
        self._becomes: list[bool] = []

    @contextlib.contextmanager
    def api(self, _timeout_s: float) -> Iterator[SlowRecord]:
        yield self

    def pause(self, container: str) -> None:
        self.calls.append("pause")
        self._becomes = [self.paused] * self._lag + [True]

    def unpause(self, container: str) -> None:
        self.calls.append("unpause")
        self._becomes = [self.paused] * self._lag + [False]

    def inspect(self, container: str) -> dict[str, Any]:
        if self._becomes:
            self.paused = self._becomes.pop(0)
        if self.stop_at is not None:
            self.stop_at -= 1
            if self.stop_at == 0:
                self.freezing.stopping(container)
        return {"State": {"Running": True, "Paused": self.paused}}


def test_a_record_that_lags_is_waited_for_and_not_asked_twice() -> None:
    engine = SlowRecord(looks=4)
    assert engine.freezing.freeze("c")
    assert (engine.calls, engine.paused) == (["pause"], True)
    assert engine.freezing.thaw("c")
    assert (engine.calls, engine.paused) == (["pause", "unpause"], False)


def test_one_that_is_stopped_meanwhile_is_let_go_on() -> None:
    engine = SlowRecord(looks=4)
    engine.stop_at = 3
    assert engine.freezing.freeze("c")
    assert (engine.calls, engine.paused) == (["pause", "unpause"], False)


def test_one_that_is_being_stopped_is_not_frozen_any_more() -> None:
    engine = SlowRecord(looks=0)
    engine.freezing.stopping("c")
    assert engine.freezing.freeze("c")
    assert engine.calls == []
    engine.freezing.forget("c")
    assert engine.freezing.freeze("c")
    assert engine.calls == ["pause"]
