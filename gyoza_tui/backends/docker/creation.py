"""What an attempt's container is made of: the limits, the walls and the one way in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from docker.types import DeviceRequest, HostConfig, LogConfig, Mount

from gyoza_tui.backends.base import BackendOptions, Label, Spec
from gyoza_tui.models.hardware import GpuInfo

OP_DIR: Final = "/gyoza"
LOG_FILES: Final = 4
"""The engine keeps this many log files per container, each a quarter of what the owner allows."""
_MIB: Final = 1024 * 1024
_KEEPS_CAPABILITIES: Final = "ALL"
_OOM_SCORE_ADJ: Final = 500
"""When the machine itself runs out of memory, an op goes before the worker and the engine do."""


def log_file_bytes(options: BackendOptions) -> int:
    return max(16 * 1024, options.container_log_mb * _MIB // LOG_FILES)


def host_config(spec: Spec, options: BackendOptions, *, bind: bool) -> HostConfig:
    """The part of the request that limits and confines; HostConfig is docker-py's dict."""
    need = spec.constraints
    memory = need.ram_mb * _MIB if need.ram_mb else None
    keeps = _KEEPS_CAPABILITIES in options.docker_cap_add
    return HostConfig(
        version="1.41",
        init=True,
        nano_cpus=need.cpu * 10**9 if need.cpu else None,
        mem_limit=memory,
        memswap_limit=memory,
        pids_limit=options.pids_limit,
        shm_size=options.shm_mb * _MIB,
        oom_score_adj=_OOM_SCORE_ADJ,
        security_opt=[] if options.docker_new_privileges else ["no-new-privileges"],
        cap_drop=[] if keeps else ["ALL"],
        cap_add=[] if keeps else list(options.docker_cap_add),
        network_mode=options.docker_network,
        log_config=LogConfig(
            type="local",
            # Compressing each file as it fills would take a core from the op that floods.
            config={"max-size": str(log_file_bytes(options)), "max-file": str(LOG_FILES), "compress": "false"},
        ),
        device_requests=device_requests(spec.gpu),
        mounts=[_op_dir_mount(spec, bind=bind), *_volume_mounts(spec.volumes)],
    )


def device_requests(gpu: GpuInfo | None) -> list[DeviceRequest]:
    """Exactly one GPU, by UUID where it is known: indices are renumbered when a GPU falls off the bus."""
    if gpu is None:
        return []
    return [DeviceRequest(device_ids=[_gpu_id(gpu)], capabilities=[["gpu"]])]


def environment(spec: Spec) -> dict[str, str]:
    """The op's environment; which GPU it sees is not for the run to say."""
    if spec.gpu is None:
        # An engine whose default runtime is nvidia's would let in every GPU that the image asks for.
        return {**spec.env, "NVIDIA_VISIBLE_DEVICES": "void"}
    # Inside, the one GPU let in is number 0 whatever it is outside.
    return {**spec.env, "NVIDIA_VISIBLE_DEVICES": _gpu_id(spec.gpu), "CUDA_VISIBLE_DEVICES": spec.gpu.uuid or "0"}


def labels_match(ours: Mapping[str, str], found: Mapping[str, str]) -> bool:
    """Whether a container is that very attempt: run, attempt, lease and the state directory's uuid agree."""
    identity = (Label.RUN, Label.ATTEMPT, Label.LEASE, Label.INSTANCE)
    return all(ours.get(label) is not None and ours[label] == found.get(label) for label in identity)


def volume_refusal(volumes: Mapping[str, str], allowed: tuple[Path, ...], forbidden: tuple[Path, ...]) -> str | None:
    """Why these host paths may not be mounted, in words; paths are resolved, so that a link leads nowhere else.

    `forbidden` are paths that no volume may be, hold, or lie in: the engine's socket, the worker's own state.
    """
    for host, inside in volumes.items():
        if not host.startswith("/") or "\0" in host + inside:
            return f"volume {host!r}: a host path begins with '/'"
        target = Path(inside)
        if not target.is_absolute() or ".." in target.parts or len(target.parts) < 2 or target.parts[1] == "gyoza":
            return f"volume {host!r}: {inside!r} is not an absolute path outside {OP_DIR}"
        source = Path(host).resolve()
        if not any(source.is_relative_to(root.resolve()) for root in allowed):
            return f"volume {host!r}: not under a path that this worker's owner allows for volumes"
        for path in forbidden:
            if path.is_relative_to(source) or source.is_relative_to(path):
                return f"volume {host!r}: it would give the run {path}, which is never shared"
    return None


def _gpu_id(gpu: GpuInfo) -> str:
    return gpu.uuid or str(gpu.index)


def _op_dir_mount(spec: Spec, *, bind: bool) -> Mount:
    if bind:
        return Mount(target=OP_DIR, source=str(spec.run_dir), type="bind")
    # Without a name it is the container's own and goes with it; the labels are for one whose container went first.
    return Mount(target=OP_DIR, source=None, type="volume", labels=dict(spec.labels))


def _volume_mounts(volumes: Mapping[str, str]) -> list[Mount]:
    return [Mount(target=inside, source=str(Path(host).resolve()), type="bind") for host, inside in volumes.items()]


def masked(inspected: dict[str, Any]) -> dict[str, Any]:
    """The engine's description with the values of the environment hidden: any of them may be a secret."""
    config = dict(inspected.get("Config") or {})
    config["Env"] = [f"{entry.partition('=')[0]}=***" for entry in config.get("Env") or []]
    return {**inspected, "Config": config}
