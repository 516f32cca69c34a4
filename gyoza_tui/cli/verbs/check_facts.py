"""What `gyoza-tui check` finds out by asking, without a worker. Of the containers that it tries to start none stays."""

from __future__ import annotations

import os
import socket
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from gyoza_tui.backends.base import AttemptElsewhere, Backend, BackendError
from gyoza_tui.backends.docker import docker_config, place
from gyoza_tui.backends.registry import BACKENDS
from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import error_code, trouble, words
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.hardware import Foreign, HardwareSample
from gyoza_tui.models.images import DOCKER
from gyoza_tui.models.workers import ClaimRequest, WorkerState, WorkerView
from gyoza_tui.settings import Settings, unknown_variables
from gyoza_tui.worker.building import backend_options
from gyoza_tui.worker.foreign_memory import beyond, owner_of
from gyoza_tui.worker.hardware.sampler import Sampler
from gyoza_tui.worker.journal import look as journal_look
from gyoza_tui.worker.journal.look import OpenAttempt
from gyoza_tui.worker.link_state import LinkState
from gyoza_tui.worker.probes import Prober, Subject
from gyoza_tui.worker.server_link import HELD_BY_ANOTHER
from gyoza_tui.worker.state_dir import disk
from gyoza_tui.worker.state_dir import look as state_dir_look
from gyoza_tui.worker.state_dir.look import Directory
from gyoza_tui.worker.state_dir.state_dir import JOURNAL
from gyoza_tui.worker.view.checks import Asked
from gyoza_tui.worker_dirs import worker_dir, worker_dirs

_NO_IMAGE: Final = "gyoza-tui/none"
"""No run is asked about, so the probe's own image is the only one."""


@dataclass
class WorkerFacts:
    """The facts of a worker that does not run."""

    worker_id: str
    server_url: str
    link: LinkState = field(default_factory=LinkState)
    backends: dict[str, str | None] = field(default_factory=dict)
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)
    gpu_trouble: dict[int, str] = field(default_factory=dict)
    foreign: dict[int, Foreign] = field(default_factory=dict)
    hardware: HardwareSample | None = None
    disk: str | None = None
    disk_free_mb: int | None = None
    disk_warning: str | None = None
    own_ops: bool = False
    """Whether this machine's owner lists commands that runs may name."""


def ask(settings: Settings, client: GyozaClient) -> tuple[WorkerFacts, Asked]:
    """Takes as long as the slowest of those who are asked; raises nothing."""
    root = worker_dir(settings.state_dir, settings.worker_id)
    state = state_dir_look.look(root)
    found = WorkerFacts(settings.worker_id, client.base_url)
    found.link, skew_s, role, known = _server(settings, client, root, running=bool(state.note))
    disks = [state_dir_look.nearest_existing(root)]
    sampler = Sampler(SystemClock())
    found.hardware = sampler.sample()
    sampler.close()
    gpu_trouble: str | None = None
    attempts = journal_look.open_attempts(root / JOURNAL)
    with tempfile.TemporaryDirectory(prefix="gyoza-check-") as empty:
        for name, made in _backends(settings, Path(empty)).items():
            prober = Prober(Path(empty), settings.worker_id, str(uuid.uuid4()))
            found.backends[name] = made if isinstance(made, str) else _trouble(made, prober)
            if not isinstance(made, str) and found.backends[name] is None:
                disks += made.disks()
                found.own_ops |= bool(made.ops())
                gpu_trouble = _trouble_of_gpus(made, found.hardware, prober) if name == DOCKER else gpu_trouble
                found.held[name] = _held(made, attempts)
                made.close()
    of_runs = _processes_of_runs(_backends(settings, root), attempts, found.hardware)
    found.foreign = {gpu.info.index: beyond(gpu, of_runs) for gpu in found.hardware.gpus}
    room = disk.look(disks, settings.min_free_mb)
    found.disk, found.disk_free_mb, found.disk_warning = room.trouble, room.free_mb, room.warning
    volumes = tuple(map(_volume, settings.allow_volumes))
    unknown = tuple(unknown_variables().items())
    return found, Asked(
        skew_s,
        gpu_trouble,
        state,
        volumes,
        unknown,
        settings.unread_env_file,
        settings.key_in_clear_to,
        _other_workers(settings, known),
        key_role=role,
        logins_trouble=docker_config.trouble(os.environ),
        docker_at=_docker_at(),
    )


def _docker_at() -> str:
    try:
        return str(place.find(os.environ))
    except BackendError:
        return ""


def _server(
    settings: Settings, client: GyozaClient, root: Path, *, running: bool
) -> tuple[LinkState, float | None, str, list[WorkerView]]:
    """What a beat would find: an answer, the key, the name; then the clocks' difference, the key's role and the workers
    known there."""
    skew_s: float | None = None
    role = ""
    client.open()
    began, began_utc = time.monotonic(), datetime.now(UTC)
    try:
        health = client.health()
        took = time.monotonic() - began
        role = health.role or ""
        if health.server_time is not None:
            skew_s = (began_utc - health.server_time).total_seconds() + took / 2
        known = client.list_workers()
        held = None if running else _held_by_another(settings, client, root)
    except httpx.HTTPError as error:
        return LinkState(trouble=words(error), kind=trouble(error)), skew_s, role, []
    return LinkState(registered=held is None, name_held=held, beat_at=0.0, latency_ms=took * 1000), skew_s, role, known


def _other_workers(settings: Settings, known: list[WorkerView]) -> tuple[str, ...]:
    """By the server's list, and by the state directories next to this worker's."""
    here = (each for each in known if each.hostname == socket.gethostname())
    beating = {each.worker_id for each in here if each.state in tuple(WorkerState)}
    running = {name for name, root in worker_dirs(settings.state_dir).items() if state_dir_look.in_use(root)}
    return tuple(sorted((beating | running) - {settings.worker_id}))


def _held_by_another(settings: Settings, client: GyozaClient, root: Path) -> str | None:
    """The server's words when it would refuse this worker its name: a claim for nothing, by its identity, tells."""
    instance = state_dir_look.instance_of(root) or str(uuid.uuid4())
    try:
        client.claim(settings.worker_id, ClaimRequest(max=0, wait_s=0, instance_id=instance))
    except httpx.HTTPStatusError as error:
        if error_code(error) in HELD_BY_ANOTHER:
            return words(error)
        if error_code(error) != ErrorCode.WORKER_UNKNOWN:
            raise
    return None


def _backends(settings: Settings, directory: Path) -> dict[str, Backend | str]:
    """Each backend of a worker in that directory, or why it cannot be made."""
    options = backend_options(settings, directory, str(uuid.uuid4()))
    made: dict[str, Backend | str] = {}
    for name, make in BACKENDS.items():
        try:
            made[name] = make(options)
        except ValueError as error:
            made[name] = str(error)
    return made


def _processes_of_runs(
    backends: dict[str, Backend | str], attempts: list[OpenAttempt], hardware: HardwareSample
) -> set[int]:
    """The processes on GPUs that belong to a run of this worker, which `backends` are those of."""
    found: set[int] = set()
    pids = {process.pid for gpu in hardware.gpus for process in gpu.processes or ()}
    for name, backend in backends.items():
        if not isinstance(backend, str):
            handles = [attempt.handle for attempt in attempts if attempt.backend == name]
            found |= {pid for pid in pids if owner_of(backend, pid, handles) is not None}
            backend.close()
    return found


def _held(backend: Backend, attempts: list[OpenAttempt]) -> tuple[str, ...]:
    """Why each attempt in the worker's journal that is on another engine is out of reach."""
    held: list[str] = []
    for attempt in attempts:
        if attempt.backend == backend.name:
            try:
                backend.state(attempt.handle)
            except AttemptElsewhere as error:
                held.append(str(error))
            except BackendError:
                continue
    return tuple(held)


def _trouble(backend: Backend, prober: Prober) -> str | None:
    try:
        backend.check()
    except BackendError as error:
        return str(error)
    return prober.trouble(backend, Subject(_NO_IMAGE))


def _trouble_of_gpus(backend: Backend, hardware: HardwareSample, prober: Prober) -> str | None:
    try:
        trouble = backend.gpu_trouble()
    except BackendError as error:
        return str(error)
    for gpu in hardware.gpus:
        if trouble is None and (words := prober.trouble(backend, Subject(_NO_IMAGE, gpu.info))):
            trouble = f"GPU {gpu.info.index}: {words}"
    return trouble


def _volume(path: Path) -> Directory:
    return Directory(str(path), None if path.is_dir() else f"{path} of GYOZA_ALLOW_VOLUMES is no directory here")
