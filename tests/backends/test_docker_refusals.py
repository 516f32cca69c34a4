"""What the engine's words mean: messages of real engines, and those that this machine's engine gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from gyoza_tui.backends.base import BackendBroken, BackendError, DiskFull, NotExecutable, StartRefused
from gyoza_tui.backends.docker.refusals import Meaning, meaning
from gyoza_tui.models.hardware import GpuInfo
from tests.backends.docker_ops import DockerOps
from tests.images import BUSYBOX

_RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
_INIT = _RUNC + "error during container init: "

OPS_FAULT = (
    "unable to find user app: no matching entries in passwd file",
    "unable to find group nogrp: no matching entries in group file",
    "the working directory 'x/y' is invalid, it needs to be an absolute path",
    "Cannot mkdir: /bin/busybox is not a directory",
    _RUNC + 'exec: "/nope": stat /nope: no such file or directory: unknown',
    _RUNC + 'exec: "nosuch": executable file not found in $PATH: unknown',
    _RUNC + 'exec: "/etc/passwd": permission denied: unknown',
    _RUNC + 'exec: "/bin": is a directory: unknown',
    "standard_init_linux.go:228: exec user process caused: exec format error",
    "No command specified",
    "Duplicate mount point: /x",
    "Minimum memory limit allowed is 6MB",
    "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
    _RUNC + "container init was OOM-killed (memory limit too low?): unknown",
    _INIT + 'environment variable value can\'t contain null(\\x00): "A=a\\x00b": unknown',
    _INIT + "sethostname: invalid argument: unknown",
)
MACHINES_FAULT = (
    (
        "failed to create endpoint charming_sanderson on network bridge: adding interface veth45eb1aa to bridge "
        "docker0 failed: could not find bridge docker0: route ip+net: no such network interface"
    ),
    "network nonet not found",
    "failed to set up container networking: failed to add interface veth1 to sandbox: check bridge port state",
    "no available IPv4 addresses on this network's address pools: bridge (1f2e)",
    'could not select device driver "" with capabilities: [[gpu]]',
    _INIT + "error running hook #0: error running hook: exit status 1, stdout: , stderr: Auto-detected mode as "
    "'legacy' nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
    "Unknown runtime specified nope",
    'exec: "docker-init": executable file not found in $PATH',
    "OCI runtime create failed: runc create failed: fork/exec /proc/self/exe: resource temporarily unavailable",
    "OCI runtime create failed: runc create failed: fork/exec /usr/bin/runc: cannot allocate memory: unknown",
    "OCI runtime create failed: runc create failed: unable to start container process: pipe2: too many open files",
    "context deadline exceeded",
    "OCI runtime create failed: runc did not terminate successfully: exit status 2: unknown",
    "cgroups: cgroup mountpoint does not exist: unknown",
    "OCI runtime create failed: runc create failed: no cgroup mount found in mountinfo: unknown",
    _RUNC + "unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/docker/1: permission denied: unknown",
    "layer does not exist",
    "open /var/lib/docker/containers/1/config.v2.json: input/output error",
    "error creating overlay mount to /var/lib/docker/overlay2/1/merged: device or resource busy",
)
DISK_FULL = (
    "error creating temporary lease: write /var/lib/containerd/meta.db: no space left on device: unknown",
    "mkdir /var/lib/docker/overlay2/1: disk quota exceeded",
)
ENGINE_AWAY = (
    "ttrpc: closed: unknown",
    "ttrpc: client shutting down: read unix @->@/containerd-shim/moby/1/shim.sock: read: connection reset by peer",
    'connection error: desc = "transport: error while dialing: dial unix:///run/containerd/containerd.sock: timeout"',
    "transport is closing: unavailable",
)
UNKNOWN = (
    _INIT + 'error mounting "/tmp" to rootfs at "/proc/1": "/x/merged/proc/1" cannot be mounted because it is inside '
    "/proc: unknown",
    _INIT + 'error mounting "/d" to rootfs at "/bin/sh": mount /d:/bin/sh (via /proc/self/fd/6), flags: 0x5000: '
    "not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?",
    'invalid mount config for type "bind": bind source path does not exist: /no/such',
    'invalid CapAdd: unknown capability: "CAP_NO_SUCH"',
    'error looking up logging plugin nope: plugin "nope" not found',
    "No such container: nosuch",
    "something that no engine says today",
)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (expected, words)
        for expected, messages in (
            (Meaning.OPS_FAULT, OPS_FAULT),
            (Meaning.MACHINES_FAULT, MACHINES_FAULT),
            (Meaning.DISK_FULL, DISK_FULL),
            (Meaning.ENGINE_AWAY, ENGINE_AWAY),
            (Meaning.UNKNOWN, UNKNOWN),
        )
        for words in messages
    ],
)
def test_the_table_knows_what_engines_say(expected: Meaning, words: str) -> None:
    assert meaning(words) is expected


@pytest.mark.parametrize("name", ["ttrpc: closed", "no space left on device", "layer does not exist"])
def test_an_ops_own_words_do_not_blame_the_machine(name: str) -> None:
    assert meaning(f"unable to find user {name}: no matching entries in passwd file") is Meaning.OPS_FAULT
    assert meaning(_RUNC + f'exec: "{name}": executable file not found in $PATH: unknown') is Meaning.OPS_FAULT


@pytest.fixture
def ops(docker_engine: docker.APIClient, tmp_path: Path) -> Iterator[DockerOps]:
    made = DockerOps(tmp_path)
    yield made
    made.close()


@pytest.fixture
def image(docker_engine: docker.APIClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """The small test image with one instruction more."""
    name = "gyoza-test/refused:1"
    made = docker_engine.create_container(BUSYBOX, "sh")["Id"]
    docker_engine.commit(made, "gyoza-test/refused", "1", changes=[request.param])
    docker_engine.remove_container(made)
    yield name
    docker_engine.remove_image(name, force=True)


def _refusal(ops: DockerOps, *command: str, **fields: object) -> BackendError:
    with pytest.raises(BackendError) as raised:
        ops.backend.start(ops.backend.create(ops.spec(*command, **fields)))  # type: ignore[arg-type]
    return raised.value


@pytest.mark.docker
@pytest.mark.parametrize("image", ["USER app", "USER 0:nogrp", "WORKDIR /bin/busybox"], indirect=True)
def test_what_an_image_asks_for_and_no_engine_can_start(ops: DockerOps, image: str) -> None:
    assert isinstance(_refusal(ops, "true", image=image), NotExecutable)


@pytest.mark.docker
def test_a_mount_that_the_kernel_refuses_is_left_to_a_probe(ops: DockerOps, tmp_path: Path) -> None:
    ops.close()
    allowing = DockerOps(tmp_path, allow_volumes=(tmp_path / "volume",))
    (tmp_path / "volume").mkdir()
    error = _refusal(allowing, "true", volumes={str(tmp_path / "volume"): "/bin/busybox"})
    assert isinstance(error, StartRefused)
    assert not error.machines_fault
    allowing.backend.probe(allowing.spec())
    allowing.close()


@pytest.mark.docker
def test_a_gpu_that_the_engine_cannot_pass_on_is_the_machines_fault(ops: DockerOps) -> None:
    gpu = GpuInfo(index=0, uuid="GPU-0", name=None, memory_total_mb=None)
    error = _refusal(ops, "true", gpu=gpu)
    assert isinstance(error, StartRefused)
    assert error.machines_fault
    with pytest.raises(BackendBroken, match="device driver"):
        ops.backend.probe(ops.spec(gpu=gpu))
    ops.backend.probe(ops.spec())


def test_a_full_disk_and_an_absent_containerd_have_errors_of_their_own(ops: DockerOps) -> None:
    refused = ops.backend._engine.refused
    assert isinstance(refused(DISK_FULL[0], 500), DiskFull)
    assert all(isinstance(refused(words, 500), BackendBroken) for words in ENGINE_AWAY)
    assert isinstance(refused("anything", 503), BackendBroken)
