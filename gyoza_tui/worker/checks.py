"""What a worker needs before it can run anything, each with what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gyoza_tui.client.answers import Trouble
from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.worker.backend_pool import UNCHECKED
from gyoza_tui.worker.snapshot import Snapshot


class CheckState(StrEnum):
    OK = "ok"
    WAITING = "waiting"
    """Not known yet."""
    WARNING = "warning"
    """Works, but not as it could."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    """`server`, `key`, `docker` and each other backend, `GPUs`, `disk`."""
    state: CheckState
    text: str
    """What was found, as exactly as it is known."""
    mend: str = ""
    """What to set or type; empty when nothing needs it."""


def checklist(snapshot: Snapshot) -> tuple[Check, ...]:
    """Judged by what the worker knows already: asks nobody."""
    backends = sorted(snapshot.backends.items())
    return (
        _server(snapshot),
        _key(snapshot),
        *(_backend(name, trouble) for name, trouble in backends),
        _gpus(snapshot.hardware),
        _disk(snapshot),
    )


_OTHER_SERVER: Final = "GYOZA_SERVER_URL=http://host:5555 or --server http://host:5555"
_SERVER_MENDS: Final = {
    Trouble.REFUSED: f"is `gyoza-tui serve` running there? Else name another: {_OTHER_SERVER}; or use --local",
    Trouble.NO_NAME: f"mend the host's name: {_OTHER_SERVER}",
    Trouble.NO_ANSWER: f"is it the right host and port, and no firewall between? {_OTHER_SERVER}",
    Trouble.NOT_GYOZA: f"something else answers at this address: {_OTHER_SERVER}",
}
_KEY_MEND: Final = "GYOZA_API_KEY_FILE=path or --api-key-file path: a file with the key that the server was given"


def _server(snapshot: Snapshot) -> Check:
    link, url = snapshot.link, snapshot.server_url
    if link.name_held is not None:
        mend = f"stop the other worker {snapshot.worker_id}, or give this one a name of its own: --worker-id name"
        return Check("server", CheckState.FAILED, f"{url}: {link.name_held}", mend)
    if link.trouble is None:
        if link.beat_at is None:
            return Check("server", CheckState.WAITING, f"{url} was not asked yet")
        took = "" if link.latency_ms is None else f" in {link.latency_ms:.0f} ms"
        return Check("server", CheckState.OK, f"{url} answers{took}")
    if link.kind is Trouble.KEY:
        return Check("server", CheckState.OK, f"{url} answers, but not to this key")
    mend = _SERVER_MENDS.get(link.kind or Trouble.OTHER, f"look at the server's own messages, or: {_OTHER_SERVER}")
    return Check("server", CheckState.FAILED, f"{url}: {link.trouble}", mend)


def _key(snapshot: Snapshot) -> Check:
    link = snapshot.link
    if link.kind is Trouble.KEY:
        return Check("key", CheckState.FAILED, (link.trouble or "refused").partition(":")[0], _KEY_MEND)
    if link.beat_at is None and link.name_held is None:
        return Check("key", CheckState.WAITING, "not known before the server answers")
    return Check("key", CheckState.OK, "the server takes it")


def _backend(name: str, trouble: str | None) -> Check:
    if trouble is None:
        return Check(name, CheckState.OK, "answers" if name == "docker" else "ready")
    if trouble == UNCHECKED:
        return Check(name, CheckState.WAITING, trouble)
    return Check(name, CheckState.FAILED, trouble, _docker_mend(trouble) if name == "docker" else "")


def _docker_mend(trouble: str) -> str:
    """By the words of its backend for the causes that it knows."""
    if "permission denied" in trouble:
        return "add yourself to the group docker: sudo usermod -aG docker $USER, then log in again"
    if "no such socket" in trouble:
        return "install Docker, or sudo systemctl start docker, or say where it listens: DOCKER_HOST=unix:///path"
    if "not answer in time" in trouble:
        return "sudo systemctl restart docker"
    return "sudo systemctl start docker"


def _gpus(hardware: HardwareSample | None) -> Check:
    if hardware is None:
        return Check("GPUs", CheckState.WAITING, "not looked at yet")
    if hardware.gpus:
        text = ", ".join(_gpu_names(hardware))
        if hardware.gpu_note is None:
            return Check("GPUs", CheckState.OK, text)
        return Check("GPUs", CheckState.WARNING, f"{text}; {hardware.gpu_note}", "does `nvidia-smi` answer?")
    note = hardware.gpu_note or "none"
    if any(none in note for none in _NO_DRIVER):
        return Check("GPUs", CheckState.OK, "none: this machine has no NVIDIA driver")
    return Check("GPUs", CheckState.WARNING, f"none: {note}", "does `nvidia-smi` answer? CPU runs are taken")


_NO_DRIVER: Final = ("NVML Shared Library Not Found", "Driver Not Loaded")


def _gpu_names(hardware: HardwareSample) -> list[str]:
    names = [gpu.info.name or "unknown" for gpu in hardware.gpus]
    return [f"{names.count(name)} {name}" for name in dict.fromkeys(names)]


def _disk(snapshot: Snapshot) -> Check:
    if snapshot.disk is not None:
        return Check("disk", CheckState.FAILED, snapshot.disk, "free some space, or lower GYOZA_MIN_FREE_MB=megabytes")
    if snapshot.disk_free_mb is None:
        return Check("disk", CheckState.WAITING, "not looked at yet")
    return Check("disk", CheckState.OK, f"{snapshot.disk_free_mb / 1024:.0f} GB free")
