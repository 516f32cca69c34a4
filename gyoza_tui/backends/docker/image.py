"""Fetching an image, from the engine's raw progress stream: the SDK's own `pull` hides a full disk and a bad login."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from docker.utils import parse_repository_tag

from gyoza_tui.backends.base import (
    BackendError,
    DiskFull,
    ImageNotFound,
    PullCancelled,
    PullFailed,
    PullProgress,
)
from gyoza_tui.backends.docker.credentials import login
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.json_lines import LINE_MAX, json_lines, parsed
from gyoza_tui.backends.docker.stream import RawStream

_CANCEL_LOOK_S: Final = 0.1
_DONE: Final = frozenset({"Pull complete", "Already exists"})
_NOT_FOUND: Final = re.compile(r"manifest unknown|manifest for .* not found|name unknown|repository .* not found", re.I)
_AMBIGUOUS: Final = re.compile(r"pull access denied|repository does not exist", re.I)
_REFUSED: Final = re.compile(
    r"unauthorized|no basic auth credentials|authentication required|denied|incorrect username or password"
    r"|forbidden|\b40[13]\b",
    re.I,
)
_NO_PLATFORM: Final = re.compile(r"no matching manifest", re.I)


def pull(engine: Engine, image: str, on_progress: Callable[[PullProgress], None], cancel: threading.Event) -> None:
    """As `Backend.pull` says. A cancel closes the stream, and with it the engine's own fetching ends."""
    repository, tag = parse_repository_tag(image)
    query = {"fromImage": repository, "tag": tag or "latest"}
    headers = login(repository, lambda what: on_progress(PullProgress(waits_for=what)), cancel)
    on_progress(PullProgress())
    with engine.stream("POST", "/images/create", query, headers=headers) as stream:
        with _closed_by(stream, cancel):
            try:
                _follow(engine, image, stream, on_progress)
            except OSError as error:
                if cancel.is_set():
                    raise PullCancelled(f"pulling {image} was cancelled") from error
                raise engine.unavailable(error) from error
        if cancel.is_set():
            raise PullCancelled(f"pulling {image} was cancelled")


def _follow(engine: Engine, image: str, stream: RawStream, on_progress: Callable[[PullProgress], None]) -> None:
    if stream.status != 200:
        body = stream.read_all(LINE_MAX)
        raise _failure(engine, image, _message(body), stream.status)
    layers = _Layers()
    for line in json_lines(stream):
        if words := _error_in(line):
            raise _failure(engine, image, words, 500)
        layers.take(line)
        on_progress(layers.progress())


def _failure(engine: Engine, image: str, words: str, status: int) -> BackendError:
    if "no space left on device" in words:
        return DiskFull(f"no space left on the Docker engine's disk for {image}")
    if _AMBIGUOUS.search(words):
        return PullFailed(
            f"{image}: its registry denies it: the repository does not exist there, or it needs a login "
            f"(`docker login` as the worker's user). It said: {words}",
            retryable=False,
        )
    if _NO_PLATFORM.search(words):
        return ImageNotFound(f"{image} exists, but not for this machine's platform: {words}")
    if _NOT_FOUND.search(words):
        return ImageNotFound(f"there is no image {image} in its registry: {words}")
    if status in (401, 403) or _REFUSED.search(words):
        return PullFailed(
            f"{image}: its registry refuses these credentials; `docker login` as the worker's user. It said: {words}",
            retryable=False,
        )
    if status == 400:
        return name_refused(image, words)
    refusal = engine.refused(words, status)
    if type(refusal) is not BackendError:
        return refusal
    return PullFailed(f"{image} could not be pulled: {words}", retryable=True)


def name_refused(image: str, words: str) -> ImageNotFound:
    """An engine of another age may know another grammar than our check of names."""
    return ImageNotFound(f"{image}: the engine does not take that name: {words}")


@contextmanager
def _closed_by(stream: RawStream, cancel: threading.Event) -> Iterator[None]:
    """A reader of the stream can wait for neither the event nor time; this thread does it for it."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_CANCEL_LOOK_S):
            if cancel.is_set():
                stream.close()
                return

    watcher = threading.Thread(target=watch, name="pull-cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _message(body: bytes) -> str:
    said = parsed(body)
    return str(said.get("message") or said) if isinstance(said, dict) else body.decode(errors="replace").strip()


def _error_in(line: dict[str, Any]) -> str | None:
    detail = line.get("errorDetail")
    words = line.get("error") or (detail.get("message") if isinstance(detail, dict) else None)
    return str(words) if words else None


@dataclass(slots=True)
class _Layers:
    """The layers of one pull, as the engine's lines tell of them one by one."""

    bytes_of: dict[str, tuple[int, int]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)

    def take(self, line: dict[str, Any]) -> None:
        layer, status = line.get("id"), line.get("status")
        if not isinstance(layer, str) or not isinstance(status, str) or status.startswith("Pulling from"):
            return
        self.seen.add(layer)
        if status in _DONE:
            self.done.add(layer)
        detail = line.get("progressDetail")
        if status == "Downloading" and isinstance(detail, dict) and detail.get("total"):
            self.bytes_of[layer] = (int(detail.get("current") or 0), int(detail["total"]))
        elif layer in self.bytes_of and status != "Downloading":
            total = self.bytes_of[layer][1]
            self.bytes_of[layer] = (total, total)

    def progress(self) -> PullProgress:
        return PullProgress(
            bytes_done=sum(done for done, _ in self.bytes_of.values()),
            bytes_total=sum(total for _, total in self.bytes_of.values()) if self.bytes_of else None,
            layers_done=len(self.done),
            layers_total=len(self.seen),
        )
