"""The border between the worker and a backend: nothing but a BackendError comes across it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from gyoza_tui.backends.base import (
    Backend,
    BackendError,
    Capabilities,
    Chunk,
    DiskFull,
    Exit,
    FileRefused,
    FoundAttempt,
    Handle,
    Output,
    PullProgress,
    Resume,
    Spec,
    State,
    Usage,
)
from gyoza_tui.models.nested import MaySubmit

Report: TypeAlias = Callable[[str, Exception], None]
"""Gets the message of a fault and the exception behind it; called once for each message."""

_REPORTED_MAX: Final = 256


def _log(text: str, error: Exception) -> None:
    logging.getLogger("gyoza_tui").error(text, exc_info=error)


class Border:
    """A backend behind its border. Thread-safe; the backend is made when something is first asked of it.

    An exception that the protocol does not document is a fault of the backend: it is reported, and raised again as a
    BackendError that names the backend, the call and the attempt.
    """

    def __init__(self, name: str, make: Callable[[], Backend]) -> None:
        self._name = name
        self._make = make
        self._making = threading.Lock()
        self._made: Backend | None = None
        self._reported: set[str] = set()
        self.report: Report = _log

    @property
    def name(self) -> str:
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        with self._crossing("capabilities") as backend:
            return backend.capabilities

    def check(self) -> None:
        with self._crossing("check") as backend:
            backend.check()

    def probe(self, spec: Spec) -> None:
        with self._crossing("probe", spec.name) as backend:
            backend.probe(spec)

    def gpu_trouble(self) -> str | None:
        with self._crossing("gpu_trouble") as backend:
            return backend.gpu_trouble()

    def disks(self) -> tuple[Path, ...]:
        with self._crossing("disks") as backend:
            return backend.disks()

    def refuses(self, image: str, volumes: Mapping[str, str]) -> str | None:
        with self._crossing("refuses", image) as backend:
            return backend.refuses(image, volumes)

    def ops(self) -> tuple[str, ...]:
        with self._crossing("ops") as backend:
            return backend.ops()

    def op_dir(self, run_dir: Path) -> str:
        with self._crossing("op_dir", run_dir.name) as backend:
            return backend.op_dir(run_dir)

    @property
    def shares_op_dir(self) -> bool:
        with self._crossing("shares_op_dir") as backend:
            return backend.shares_op_dir

    def may_submit(self, image: str) -> MaySubmit:
        with self._crossing("may_submit", image) as backend:
            return backend.may_submit(image)

    def image_id(self, image: str) -> str | None:
        with self._crossing("image_id", image) as backend:
            return backend.image_id(image)

    def pull(self, image: str, on_progress: Callable[[PullProgress], None], cancel: threading.Event) -> None:
        with self._crossing("pull", image) as backend:
            backend.pull(image, on_progress, cancel)

    def create(self, spec: Spec) -> Handle:
        with self._crossing("create", spec.name) as backend:
            return backend.create(spec)

    def put(self, handle: Handle, files: Mapping[str, bytes]) -> None:
        with self._crossing("put", handle) as backend:
            backend.put(handle, files)

    def output(self, handle: Handle, resume: Resume | None) -> Output:
        with self._crossing("output", handle) as backend:
            return _Output(backend.output(handle, resume), self, handle)

    def start(self, handle: Handle) -> None:
        with self._crossing("start", handle) as backend:
            backend.start(handle)

    def verify(self, handle: Handle) -> None:
        with self._crossing("verify", handle) as backend:
            backend.verify(handle)

    def wait(self, handle: Handle, timeout_s: float) -> State:
        with self._crossing("wait", handle) as backend:
            return backend.wait(handle, timeout_s)

    def state(self, handle: Handle) -> State:
        with self._crossing("state", handle) as backend:
            return backend.state(handle)

    def started_at(self, handle: Handle) -> float | None:
        with self._crossing("started_at", handle) as backend:
            return backend.started_at(handle)

    def stop(self, handle: Handle, grace_s: float) -> None:
        with self._crossing("stop", handle) as backend:
            backend.stop(handle, grace_s)

    def freeze(self, handle: Handle) -> None:
        with self._crossing("freeze", handle) as backend:
            backend.freeze(handle)

    def thaw(self, handle: Handle) -> None:
        with self._crossing("thaw", handle) as backend:
            backend.thaw(handle)

    def usage(self, handle: Handle) -> Usage:
        with self._crossing("usage", handle) as backend:
            return backend.usage(handle)

    def owner(self, pid: int, handles: Sequence[Handle]) -> int | None:
        with self._crossing("owner", str(pid)) as backend:
            return backend.owner(pid, handles)

    def written(self, handle: Handle) -> Mapping[Path, int]:
        with self._crossing("written", handle) as backend:
            return backend.written(handle)

    def fetch(self, handle: Handle, name: str, limit: int) -> bytes | None:
        with self._crossing("fetch", handle, documented=FileRefused) as backend:
            return backend.fetch(handle, name, limit)

    def renewed(self, handle: Handle) -> Handle:
        with self._crossing("renewed", handle) as backend:
            return backend.renewed(handle)

    def describe(self, handle: Handle) -> dict[str, Any]:
        with self._crossing("describe", handle) as backend:
            return backend.describe(handle)

    def shell(self, handle: Handle) -> tuple[str, ...]:
        with self._crossing("shell", handle) as backend:
            return backend.shell(handle)

    def frozen(self, labels: Mapping[str, str]) -> frozenset[str]:
        with self._crossing("frozen") as backend:
            return backend.frozen(labels)

    def find(self, labels: Mapping[str, str]) -> list[FoundAttempt]:
        with self._crossing("find") as backend:
            return backend.find(labels)

    def remove(self, handle: Handle) -> None:
        with self._crossing("remove", handle) as backend:
            backend.remove(handle)

    def prune(self, labels: Mapping[str, str]) -> int:
        with self._crossing("prune") as backend:
            return backend.prune(labels)

    def close(self) -> None:
        """Nothing is made only to be closed."""
        with self._making:
            made = self._made
        if made is not None:
            with self._crossing("close"):
                made.close()

    @contextmanager
    def _crossing(
        self, call: str, about: Handle | str = "", *, documented: type[Exception] = BackendError
    ) -> Iterator[Backend]:
        """One call of the backend, about an attempt or an image."""
        with self.guarding(call, about, documented=documented):
            yield self._backend()

    @contextmanager
    def guarding(self, call: str, about: Handle | str, *, documented: type[Exception] = BackendError) -> Iterator[None]:
        """Turn whatever is raised, but BackendError and `documented`, into a BackendError."""
        try:
            yield
        except (BackendError, documented):
            raise
        except Exception as error:
            what = about if isinstance(about, str) else str(about.get("name", about))
            text = f"{self._name}: {call} {what}".rstrip() + f" failed unexpectedly: {type(error).__name__}: {error}"
            self._report(text, error)
            full = DiskFull.of(error, getattr(error, "filename", None) or f"the backend {self._name}")
            raise full or BackendError(text) from error

    def _backend(self) -> Backend:
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _report(self, text: str, error: Exception) -> None:
        if text in self._reported:
            return
        if len(self._reported) >= _REPORTED_MAX:
            self._reported.clear()
        self._reported.add(text)
        self.report(text, error)


class _Output:
    """An open output behind the border."""

    def __init__(self, output: Output, border: Border, handle: Handle) -> None:
        self._output = output
        self._border = border
        self._handle = handle

    def __iter__(self) -> Iterator[Chunk]:
        with self._border.guarding("output", self._handle):
            yield from self._output

    def covers(self, end: Exit) -> bool:
        with self._border.guarding("covers", self._handle):
            return self._output.covers(end)

    def close(self) -> None:
        with self._border.guarding("close the output of", self._handle):
            self._output.close()


def bordered(backend: Backend, report: Report) -> Backend:
    """The backend behind its border, once, with its faults reported there."""
    border = backend if isinstance(backend, Border) else Border(backend.name, lambda: backend)
    border.report = report
    return border
