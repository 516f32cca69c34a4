"""What an attempt's container is made of: the limits, the walls and the one way in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from docker.types import DeviceRequest, HostConfig, LogConfig, Mount

from gyoza_tui.backends.base import BackendOptions, Label, Spec
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.models.limits import KIB, MIB

OP_DIR: Final = "/gyoza"
LOG_FILES: Final = 4
"""The engine keeps this many log files per container, each a quarter of what the owner allows."""
_KEEPS_CAPABILITIES: Final = "ALL"
_OOM_SCORE_ADJ: Final = 500
"""When the machine itself runs out of memory, an op goes before the worker and the engine do."""


def log_file_bytes(options: BackendOptions) -> int:
    return max(16 * KIB, options.container_log_mb * MIB // LOG_FILES)


class Volume(NamedTuple):
    """One of a run's volumes, as its container is made with it."""

    source: str
    """The path that the engine is given."""
    real: str
    """The path that was checked: the source, or what is staged there."""
    inside: str


def host_config(spec: Spec, options: BackendOptions, volumes: Iterable[Volume], *, bind: bool) -> HostConfig:
    """The part of the request that limits and confines; HostConfig is docker-py's dict."""
    need = spec.constraints
    memory = need.ram_mb * MIB if need.ram_mb else None
    keeps = _KEEPS_CAPABILITIES in options.docker_cap_add
    return HostConfig(
        version="1.41",
        init=True,
        nano_cpus=need.cpu_tenths * 10**8 or None,
        mem_limit=memory,
        memswap_limit=memory,
        pids_limit=options.pids_limit,
        shm_size=options.shm_mb * MIB,
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
        mounts=[_op_dir_mount(spec, bind=bind), *map(_volume_mount, volumes)],
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


def _gpu_id(gpu: GpuInfo) -> str:
    return gpu.uuid or str(gpu.index)


def _op_dir_mount(spec: Spec, *, bind: bool) -> Mount:
    if bind:
        return Mount(target=OP_DIR, source=str(spec.run_dir), type="bind")
    # Without a name it is the container's own and goes with it; the labels are for one whose container went first.
    return Mount(target=OP_DIR, source=None, type="volume", labels=dict(spec.labels))


def _volume_mount(volume: Volume) -> Mount:
    return Mount(target=volume.inside, source=volume.source, type="bind")


def masked(inspected: dict[str, Any]) -> dict[str, Any]:
    """The engine's description with the values of the environment hidden: any of them may be a secret."""
    config = dict(inspected.get("Config") or {})
    config["Env"] = [f"{entry.partition('=')[0]}=***" for entry in config.get("Env") or []]
    return {**inspected, "Config": config}
