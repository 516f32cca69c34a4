"""Docker behind the Backend protocol."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from docker.errors import APIError, NotFound

from gyoza_tui.backends import hostile_directory
from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendError,
    BackendOptions,
    BackendUnavailable,
    Capabilities,
    FoundAttempt,
    Handle,
    Label,
    Output,
    PullProgress,
    Resume,
    Spec,
    State,
    Usage,
    VanishedHandle,
)
from gyoza_tui.backends.docker import archive, creation, handles
from gyoza_tui.backends.docker import image as pulling
from gyoza_tui.backends.docker.containers import Containers
from gyoza_tui.backends.docker.disk_use import WrittenReader
from gyoza_tui.backends.docker.ends import parse_time
from gyoza_tui.backends.docker.engine import QUICK_TIMEOUT_S, Engine
from gyoza_tui.backends.docker.freezing import Freezing
from gyoza_tui.backends.docker.identity import EngineIdentities
from gyoza_tui.backends.docker.outputs import Outputs
from gyoza_tui.backends.docker.probe import probe, prune
from gyoza_tui.backends.docker.processes import container_of
from gyoza_tui.backends.docker.usage import UsageReader
from gyoza_tui.backends.docker.verdict import Verdicts
from gyoza_tui.backends.docker.volumes import VolumeChanged, Volumes
from gyoza_tui.models.images import DOCKER
from gyoza_tui.models.nested import MaySubmit


class DockerBackend:
    """Thread-safe; connects at first use."""

    name: ClassVar[str] = DOCKER

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._engine = Engine()
        self._containers = Containers(self._engine, options)
        self._volumes = Volumes(self._engine, options)
        self._verdicts = Verdicts(self._engine, self._containers.inspect)
        self._usage = UsageReader(self._engine)
        self._identities = EngineIdentities(self._engine)
        self._outputs = Outputs(self._engine, options, self._containers, self._verdicts)
        self._freezing = Freezing(self._engine, self._containers.inspect)
        self._written = WrittenReader(self._engine, self._containers)
        self._disks: tuple[Path, ...] = ()
        self.capabilities = Capabilities(
            separate_streams=True,
            usage=True,
            limits="cpu, memory (cgroup, swap included), pids, shm, GPU by device",
            survives_worker=True,
            gpus=True,
            freezes=True,
        )

    def check(self) -> None:
        self._engine.ping()
        if not self._disks:
            self._disks = self._engine.disks()

    def probe(self, spec: Spec) -> None:
        probe(self._engine, self._options, spec, bind=self._binds())

    def gpu_trouble(self) -> str | None:
        return self._engine.gpu_trouble()

    def disks(self) -> tuple[Path, ...]:
        return self._disks

    def refuses(self, image: str, volumes: Mapping[str, str]) -> str | None:
        return self._volumes.refusal(volumes)

    def ops(self) -> tuple[str, ...]:
        return ()

    def op_dir(self, run_dir: Path) -> str:
        return creation.OP_DIR

    @property
    def shares_op_dir(self) -> bool:
        return self._binds()

    def may_submit(self, image: str) -> MaySubmit:
        return MaySubmit.ANY

    def image_id(self, image: str) -> str | None:
        with self._engine.api(QUICK_TIMEOUT_S) as api:
            try:
                found = dict(api.inspect_image(image))  # type: ignore[no-untyped-call]
            except NotFound:
                return None
            except APIError as error:
                if error.status_code == 400:
                    raise pulling.name_refused(image, str(error.explanation)) from error
                raise
        digests = found.get("RepoDigests") or []
        return str(digests[0].partition("@")[2] if digests else found["Id"])

    def pull(self, image: str, on_progress: Callable[[PullProgress], None], cancel: threading.Event) -> None:
        pulling.pull(self._engine, image, on_progress, cancel)

    def create(self, spec: Spec) -> Handle:
        bind = self._binds()
        if bind:
            os.chmod(spec.run_dir, 0o777)  # its parent is closed to everybody else on this machine
        with self._volumes.of(spec) as volumes:
            container = self._containers.create(spec, volumes, bind=bind)
        handle = self._identities.noted(handles.handle_of(container, spec, volumes, bind=bind))
        if not bind and self._containers.phase(container) is AttemptPhase.CREATED:
            archive.put(self._engine, container, {})  # opens the volume for whatever user the image has
        return handle

    def put(self, handle: Handle, files: Mapping[str, bytes]) -> None:
        if handles.is_bound(handle):
            hostile_directory.put(Path(handle["run_dir"]), files)
        else:
            with self._finding(handle):
                archive.put(self._engine, handle["id"], files)

    def output(self, handle: Handle, resume: Resume | None) -> Output:
        return self._outputs.opened(handle["id"], resume)

    def start(self, handle: Handle) -> None:
        with self._finding(handle):
            self._volumes.stage(handles.volumes_of(handle))
            self._containers.start(handle["id"])

    def verify(self, handle: Handle) -> None:
        if not (volumes := handles.volumes_of(handle)):
            return
        inspected = self._containers.inspect(handle["id"])
        pid = inspected["State"].get("Pid") if inspected else None
        if pid and (trouble := self._volumes.trouble(volumes, handle["id"], pid)):
            self.stop(handle, grace_s=0)
            raise VolumeChanged(trouble)

    def wait(self, handle: Handle, timeout_s: float) -> State:
        container = handle["id"]
        known = self._verdicts.known(container)
        return known or self._completed(handle, self._containers.wait(container, timeout_s))

    def state(self, handle: Handle) -> State:
        return self._completed(handle, self._containers.phase(handle["id"]))

    def _completed(self, handle: Handle, state: State) -> State:
        if state is AttemptPhase.GONE:
            self._identities.check(handle)
        return self._verdicts.complete(handle["id"], state)

    def started_at(self, handle: Handle) -> float | None:
        inspected = self._containers.inspect(handle["id"])
        if inspected is None:
            self._identities.check(handle)
            return None
        return parse_time(inspected["State"].get("StartedAt"))

    def stop(self, handle: Handle, grace_s: float) -> None:
        self._verdicts.stopping(handle["id"])
        self._freezing.stopping(handle["id"])
        if not self._containers.stop(handle["id"], grace_s):
            self._identities.check(handle)

    def freeze(self, handle: Handle) -> None:
        if not self._freezing.freeze(handle["id"]):
            self._identities.check(handle)

    def thaw(self, handle: Handle) -> None:
        if not self._freezing.thaw(handle["id"]):
            self._identities.check(handle)

    def usage(self, handle: Handle) -> Usage:
        return self._usage.read(handle["id"])

    def owner(self, pid: int, handles: Sequence[Handle]) -> int | None:
        container = container_of(pid)
        return next((place for place, handle in enumerate(handles) if handle["id"] == container), None)

    def written(self, handle: Handle) -> Mapping[Path, int]:
        return {disk: self._written.read(handle["id"]) for disk in self._disks}

    def fetch(self, handle: Handle, name: str, limit: int) -> bytes | None:
        if handles.is_bound(handle):
            return hostile_directory.fetch(Path(handle["run_dir"]), name, limit)
        with self._finding(handle):
            return archive.fetch(self._engine, handle["id"], name, limit)

    def renewed(self, handle: Handle) -> Handle:
        return self._identities.noted(handle)

    def describe(self, handle: Handle) -> dict[str, Any]:
        with self._finding(handle):
            inspected = self._containers.inspect(handle["id"])
            if inspected is None:
                raise VanishedHandle(f"the container {handle['name']} is gone")
        return creation.masked(inspected)

    def shell(self, handle: Handle) -> tuple[str, ...]:
        return ("docker", *self._engine.place.flags, "exec", "-it", str(handle["id"]), "/bin/sh")

    def frozen(self, labels: Mapping[str, str]) -> frozenset[str]:
        return self._containers.frozen(labels)

    def find(self, labels: Mapping[str, str]) -> list[FoundAttempt]:
        seen = (self._seen(listed) for listed in self._containers.listed(labels))
        return [found for found in seen if found is not None]

    def _seen(self, listed: dict[str, Any]) -> FoundAttempt | None:
        """A listed container; None when it is gone by now."""
        try:
            inspected = self._containers.inspect(listed["Id"])
            if inspected is None:
                return None
            found = handles.found(inspected)
            return found._replace(handle=self._identities.noted(found.handle))
        except BackendUnavailable:
            raise
        except (BackendError, LookupError, TypeError, ValueError, AttributeError) as error:
            return handles.undescribed(listed, error)

    def remove(self, handle: Handle) -> None:
        if not self._containers.remove(handle["id"]):
            self._identities.check(handle)
        self._volumes.release(handles.volumes_of(handle))
        self._verdicts.forget(handle["id"])
        self._freezing.forget(handle["id"])
        self._outputs.forget(handle["id"])
        self._usage.forget(handle["id"])
        self._written.forget(handle["id"])

    def prune(self, labels: Mapping[str, str]) -> int:
        """The engine's volumes whose container went without them, what is staged for containers that are gone, and
        images of probes."""
        self._volumes.prune(lambda name: self._containers.inspect(name) is not None)
        wanted = [f"{name}={value}" for name, value in labels.items()]
        removed = prune(self._engine, labels[Label.WORKER]) if Label.WORKER in labels else 0
        with self._engine.api() as api:
            listed = api.volumes(filters={"dangling": True, "label": wanted})
            for volume in listed.get("Volumes") or []:
                try:
                    api.remove_volume(volume["Name"])
                except NotFound:
                    continue
                except APIError as error:
                    if error.status_code == 409:  # in use again
                        continue
                    raise
                removed += 1
        return removed

    def close(self) -> None:
        self._engine.close()

    @contextlib.contextmanager
    def _finding(self, handle: Handle) -> Iterator[None]:
        """A container that is not found may be on another engine."""
        try:
            yield
        except VanishedHandle:
            self._identities.check(handle)
            raise

    def _binds(self) -> bool:
        if self._options.docker_io != "auto":
            return self._options.docker_io == handles.BIND
        return os.geteuid() == 0 and self._engine.socket_path is not None
