"""From settings to the parts that they configure."""

from __future__ import annotations

from pathlib import Path

from gyoza_tui.backends.base import Backend, BackendOptions
from gyoza_tui.backends.registry import BACKENDS
from gyoza_tui.models.clock import Clock
from gyoza_tui.settings import Settings
from gyoza_tui.worker.image_pulls import RETRY_S, ImagePulls


def backend_options(settings: Settings, state_dir: Path, instance_id: str) -> BackendOptions:
    return BackendOptions(
        worker_id=settings.worker_id,
        instance_id=instance_id,
        state_dir=state_dir,
        ops_file=settings.ops_file,
        allow_volumes=settings.allow_volumes,
        docker_network=settings.docker_network,
        docker_cap_add=settings.docker_cap_add,
        docker_new_privileges=settings.docker_new_privileges,
        docker_io=settings.docker_io,
        pids_limit=settings.pids_limit,
        shm_mb=settings.shm_mb,
        container_log_mb=settings.container_log_mb,
    )


def all_backends(options: BackendOptions) -> dict[str, Backend]:
    """Every backend there is. Raises ValueError in words for an owner's file that cannot be read."""
    return {name: make(options) for name, make in BACKENDS.items()}


def image_pulls(settings: Settings, clock: Clock, retry_s: tuple[float, ...] = RETRY_S) -> ImagePulls:
    return ImagePulls(
        clock,
        policy=settings.pull_policy,
        timeout_s=settings.pull_timeout_s,
        inactivity_s=settings.pull_inactivity_s,
        retry_s=retry_s,
    )
