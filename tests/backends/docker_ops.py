"""Attempts on a real engine, of an instance of their own each, so that tests never meet each other's."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendOptions,
    Chunk,
    Exit,
    Handle,
    Label,
    Resume,
    Spec,
    State,
    Stream,
    StreamMark,
)
from gyoza_tui.backends.docker.backend import DockerBackend
from tests.images import BUSYBOX
from tests.waiting import until


class DockerOps:
    """A backend and the attempts made on it; `close` removes every one and proves that nothing is left."""

    def __init__(self, tmp_path: Path, **options: Any) -> None:
        self.root = tmp_path
        self.instance = uuid.uuid4().hex
        base = BackendOptions(
            worker_id="tester", instance_id=self.instance, state_dir=tmp_path / "state", docker_network="none"
        )
        self.options = base._replace(**options)
        self.backend = DockerBackend(self.options)
        self.labels: dict[str, str] = {Label.INSTANCE: self.instance}

    def spec(self, *command: str, image: str = BUSYBOX, **fields: Any) -> Spec:
        run = uuid.uuid4().hex
        run_dir = self.root / run
        run_dir.mkdir(mode=0o777)
        labels = {**self.labels, Label.RUN: run, Label.ATTEMPT: "1", Label.LEASE: "lease-1"}
        return Spec(f"gyoza-{run}-1-lease-1", image, run_dir, command or None, labels=labels, **fields)

    def shell(self, script: str, **fields: Any) -> Handle:
        return self.backend.create(self.spec("sh", "-c", script, **fields))

    def started(self, script: str, **fields: Any) -> Handle:
        handle = self.shell(script, **fields)
        self.backend.start(handle)
        return handle

    def run(self, script: str, **fields: Any) -> tuple[Handle, dict[Stream, bytes], Exit]:
        """Through to the end, with all of the output."""
        handle = self.shell(script, **fields)
        output = self.backend.output(handle, None)
        self.backend.start(handle)
        got = joined(output)
        return handle, got, self.ended(handle)

    def ended(self, handle: Handle, within_s: float = 30) -> Exit:
        state: State = self.backend.wait(handle, within_s)
        assert isinstance(state, Exit), state
        return state

    def until_running(self, handle: Handle) -> None:
        until(lambda: self.backend.state(handle) is AttemptPhase.RUNNING, "the container runs")

    def close(self) -> None:
        for found in self.backend.find(self.labels):
            self.backend.stop(found.handle, 0)
            self.backend.remove(found.handle)
        self.backend.prune(self.labels)
        assert self.backend.find(self.labels) == []
        self.backend.close()


def joined(chunks: Iterable[Chunk]) -> dict[Stream, bytes]:
    """What came, by stream. A marker of lost output fails the test."""
    got = {stream: bytearray() for stream in Stream}
    for chunk in chunks:
        assert chunk.note is None, chunk.note
        got[chunk.stream] += chunk.data
    return {stream: bytes(data) for stream, data in got.items()}


def marks(spooled: Mapping[Stream, bytes], first_at: float | None, last_at: float | None) -> Resume:
    """What a spool that holds these bytes tells of them."""
    return {
        stream: StreamMark(len(data), data[-4096:], first_at, last_at) if data else StreamMark()
        for stream, data in spooled.items()
    }
