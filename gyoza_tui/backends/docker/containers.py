"""The life of a container: made, started, waited for, stopped, removed, each as often as the worker asks."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from docker.errors import APIError, NotFound
from docker.errors import ImageNotFound as NoSuchImage

from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendError,
    BackendOptions,
    BackendUnavailable,
    ImageNotFound,
    NotExecutable,
    Spec,
    StartRefused,
    State,
    VanishedHandle,
)
from gyoza_tui.backends.docker import creation
from gyoza_tui.backends.docker.ends import parse_time, read_state
from gyoza_tui.backends.docker.engine import QUICK_TIMEOUT_S, Engine
from gyoza_tui.backends.docker.refusals import Meaning, meaning

_CREATED_LOOK_S: Final = 0.5
_KILL_WAIT_S: Final = 15.0


class Containers:
    def __init__(self, engine: Engine, options: BackendOptions) -> None:
        self._engine = engine
        self._options = options

    def create(self, spec: Spec, volumes: Iterable[creation.Volume], *, bind: bool) -> str:
        """The container's id; that of an earlier call when its container is there."""
        with self._engine.api() as api:
            try:
                made = api.create_container(
                    spec.image,
                    list(spec.command) if spec.command else None,
                    name=spec.name,
                    environment=creation.environment(spec),
                    labels=dict(spec.labels),
                    host_config=creation.host_config(spec, self._options, volumes, bind=bind),
                )
            except NoSuchImage as error:
                raise ImageNotFound(f"there is no image {spec.image} on this machine") from error
            except APIError as error:
                if error.status_code == 409:
                    return self._adopt(spec, str(error.explanation))
                raise self._not_started(error) from error
        return str(made["Id"])

    def inspect(self, container: str) -> dict[str, Any] | None:
        """None when there is no such container."""
        with self._engine.api(QUICK_TIMEOUT_S) as api:
            try:
                return dict(api.inspect_container(container))
            except NotFound:
                return None

    def phase(self, container: str) -> State:
        """As `read_state`, freshly looked up."""
        inspected = self.inspect(container)
        return AttemptPhase.GONE if inspected is None else read_state(inspected["State"])

    def frozen(self, labels: Mapping[str, str]) -> frozenset[str]:
        """The names of those with these labels that are paused."""
        return frozenset(str(name).lstrip("/") for each in self.listed(labels, "paused") for name in each["Names"])

    def recorded(self, container: str, died_at: float, timeout_s: float) -> None:
        """Wait until the engine has recorded the death that its event told of: an end, or another start by now."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            inspected = self.inspect(container)
            started_at = None if inspected is None else parse_time(inspected["State"].get("StartedAt"))
            if (
                inspected is None
                or read_state(inspected["State"]) is not AttemptPhase.RUNNING
                or (started_at or 0) > died_at
            ):
                return
            self._wait_once(container, min(left, _CREATED_LOOK_S))

    def start(self, container: str) -> None:
        with self._engine.api() as api:
            try:
                api.start(container)
            except NotFound as error:
                if "No such container" in str(error.explanation):
                    raise VanishedHandle(f"the container {container[:12]} is gone") from error
                raise self._not_started(error) from error
            except APIError as error:
                raise self._not_started(error) from error

    def wait(self, container: str, timeout_s: float) -> State:
        """The engine's own answer to a wait is not believed: an engine that goes down answers it as well."""
        deadline = time.monotonic() + timeout_s
        while True:
            state = self.phase(container)
            left = deadline - time.monotonic()
            if left <= 0 or state not in (AttemptPhase.RUNNING, AttemptPhase.CREATED):
                return state
            # One not yet started counts as not running, so its end is waited for in short looks.
            created = state is AttemptPhase.CREATED
            self._wait_once(container, min(left, _CREATED_LOOK_S) if created else left, next_exit=created)

    def stop(self, container: str, grace_s: float) -> bool:
        """Returns when the container, and with its first process all others, is verifiably not running.

        Without a grace it is killed at once. Whether there was such a container.
        """
        if grace_s > 0 and not self._ask_to_stop(container, math.ceil(grace_s)):
            return False
        deadline = time.monotonic() + _KILL_WAIT_S
        while (phase := self.phase(container)) is AttemptPhase.RUNNING:
            if time.monotonic() > deadline:
                raise BackendUnavailable(f"the container {container[:12]} is still running after SIGKILL")
            self._kill(container)
            self._wait_once(container, 1.0)
        return phase is not AttemptPhase.GONE

    def _ask_to_stop(self, container: str, grace_s: int) -> bool:
        with self._engine.api() as api:
            try:
                api.stop(container, timeout=grace_s)
            except NotFound:
                return False
            except APIError as error:
                if error.status_code != 500:
                    raise
        return True

    def remove(self, container: str) -> bool:
        """With the volumes that are only its own. Whether there was such a container."""
        with self._engine.api() as api:
            try:
                api.remove_container(container, v=True)
            except NotFound:
                return False
            except APIError as error:
                if error.status_code != 409 or "already in progress" not in str(error.explanation):
                    raise
        deadline = time.monotonic() + _KILL_WAIT_S
        while self.inspect(container) is not None:
            if time.monotonic() > deadline:
                raise BackendError(f"the container {container[:12]} is being removed, without an end")
            threading.Event().wait(0.05)
        return True

    def listed(self, labels: Mapping[str, str], status: str | None = None) -> list[dict[str, Any]]:
        """Every container with all of these labels, ended ones too; with `status` only those in that status."""
        wanted: dict[str, Any] = {"label": [f"{name}={value}" for name, value in labels.items()]}
        if status is not None:
            wanted["status"] = status
        with self._engine.api(QUICK_TIMEOUT_S) as api:
            return [dict(found) for found in api.containers(all=True, filters=wanted)]

    def _adopt(self, spec: Spec, words: str) -> str:
        found = self.inspect(spec.name)
        if found is None:
            raise BackendUnavailable(f"a container named {spec.name} is just being removed: {words}")
        if not creation.labels_match(spec.labels, found["Config"].get("Labels") or {}):
            raise BackendError(
                f"the name {spec.name} is held by a container that is not this attempt ({found['Id'][:12]}); "
                f"look at it and remove it: docker inspect {found['Id'][:12]}"
            )
        return str(found["Id"])

    def _not_started(self, error: APIError) -> BackendError:
        words = str(error.explanation or error)
        match meaning(words):
            case Meaning.OPS_FAULT:
                return NotExecutable(f"the op cannot be started: {words}")
            case Meaning.MACHINES_FAULT:
                return StartRefused(f"the Docker engine cannot start it: {words}", machines_fault=True)
            case Meaning.UNKNOWN if error.status_code != 503:
                return StartRefused(f"the Docker engine refused to start it: {words}")
            case _:
                return self._engine.refusal(error)

    def _wait_once(self, container: str, timeout_s: float, *, next_exit: bool = False) -> None:
        """Until it ends or the time is over. A lost connection is noted and shows at the next look."""
        query = {"condition": "next-exit" if next_exit else "not-running"}
        with (
            contextlib.suppress(TimeoutError),
            self._engine.stream(
                "POST", f"/containers/{container}/wait", query, timeout_s=max(timeout_s, 0.01)
            ) as answer,
        ):
            try:
                answer.read_all(4096)
            except TimeoutError:
                raise
            except OSError as error:
                raise self._engine.unavailable(error) from error

    def _kill(self, container: str) -> None:
        with self._engine.api(QUICK_TIMEOUT_S) as api:
            try:
                api.kill(container)
            except NotFound:
                return
            except APIError as error:
                if error.status_code not in (409, 500):  # not running any more
                    raise
