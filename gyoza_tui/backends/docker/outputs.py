"""Opening the output of a container: attached before its start, taken up from the engine's log later."""

from __future__ import annotations

import contextlib
from typing import Final

from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendError,
    BackendOptions,
    Output,
    Resume,
    VanishedHandle,
)
from gyoza_tui.backends.docker import creation
from gyoza_tui.backends.docker.containers import Containers
from gyoza_tui.backends.docker.end_notice import Death, EndNotice
from gyoza_tui.backends.docker.ends import parse_time, read_state
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.log_source import EngineLog, Life
from gyoza_tui.backends.docker.output import LiveOutput
from gyoza_tui.backends.docker.resume import ResumedOutput
from gyoza_tui.backends.docker.verdict import Verdicts

_ATTACH_TIMEOUT_S: Final = 30.0
_END_WAIT_S: Final = 8.0
"""The engine takes its time to record an end while it still writes the log of a flood."""
_CLOCKS_S: Final = 2.0
"""How far this machine's clock may be from the engine's."""


class Outputs:
    """Thread-safe. Passes on what a stream's end says of the container's end."""

    def __init__(self, engine: Engine, options: BackendOptions, containers: Containers, verdicts: Verdicts) -> None:
        self._engine = engine
        self._options = options
        self._containers = containers
        self._verdicts = verdicts
        self._lived: dict[str, float] = {}
        """A time in the last life of a container of which output was read: its start, or its death."""

    def opened(self, container: str, resume: Resume | None) -> Output:
        if resume is None and self._containers.phase(container) is AttemptPhase.CREATED:
            return self._attached(container)
        log = EngineLog(self._engine, container, lambda: self._life(container))
        resume = resume or {}
        earlier_life = self._lived.get(container) or _later_than_spooled(resume)
        return ResumedOutput(log, resume, creation.log_file_bytes(self._options), earlier_life)

    def forget(self, container: str) -> None:
        self._lived.pop(container, None)

    def _attached(self, container: str) -> Output:
        query = {"stream": "1", "stdout": "1", "stderr": "1"}
        path = f"/containers/{container}/attach"
        with contextlib.ExitStack() as opened:
            stream = opened.enter_context(self._engine.stream("POST", path, query, timeout_s=_ATTACH_TIMEOUT_S))
            notice = opened.enter_context(EndNotice(self._engine, container))
            try:
                if stream.status == 404:
                    raise VanishedHandle(f"the container {container[:12]} is gone")
                if stream.status != 200:
                    raise self._engine.refused(stream.read_all(4096).decode(errors="replace"), stream.status)
                stream.wait_for_ever()
            except OSError as error:
                raise self._engine.unavailable(error) from error
            opened.pop_all()
        return LiveOutput(stream, notice, lambda death: self._stream_ended(container, death))

    def _stream_ended(self, container: str, death: Death | None) -> None:
        """A stream that ends before its op was lost, and is remembered: the op may end for the same cause."""
        if death is not None:
            self._lived[container] = death.at
            if death.good_end is not None:
                self._verdicts.learnt(container, death.good_end)
                return
        with contextlib.suppress(BackendError):  # the wait for the end asks again
            if death is not None:
                self._containers.recorded(container, death.at, _END_WAIT_S)
            elif self._containers.wait(container, _END_WAIT_S) is AttemptPhase.RUNNING:
                self._engine.troubles.note()

    def _life(self, container: str) -> Life:
        inspected = self._containers.inspect(container)
        if inspected is None:
            return Life(running=False)
        record, state = inspected["State"], read_state(inspected["State"])
        life = Life(
            state is AttemptPhase.RUNNING, parse_time(record.get("StartedAt")), parse_time(record.get("FinishedAt"))
        )
        lived_at = life.started_at if life.running else life.ended_at
        if lived_at is not None:
            self._lived[container] = lived_at
        return life


def _later_than_spooled(resume: Resume) -> float | None:
    """A start after this came after what the spool holds; with room for two clocks."""
    last = max((mark.last_at for mark in resume.values() if mark.last_at is not None), default=None)
    return None if last is None else last + _CLOCKS_S
