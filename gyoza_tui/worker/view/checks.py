"""What a worker needs before it can run anything, each with what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from gyoza_tui import env_files
from gyoza_tui.models.hardware import Foreign, HardwareSample
from gyoza_tui.models.images import DOCKER
from gyoza_tui.models.server_trouble import Trouble
from gyoza_tui.worker.backend_trouble import UNCHECKED
from gyoza_tui.worker.hardware.nvml import DRIVER_NOT_LOADED, VERSION_MISMATCH
from gyoza_tui.worker.link_state import LinkState
from gyoza_tui.worker.state_dir.look import Directory
from gyoza_tui.worker.view.check import Check, CheckState


class Facts(Protocol):
    """What a worker knows of its own; its snapshot has all of it."""

    @property
    def worker_id(self) -> str: ...

    @property
    def server_url(self) -> str: ...

    @property
    def link(self) -> LinkState: ...

    @property
    def backends(self) -> Mapping[str, str | None]: ...

    @property
    def held(self) -> Mapping[str, tuple[str, ...]]:
        """Per backend why each run that is out of reach is so."""

    @property
    def gpu_trouble(self) -> Mapping[int, str]: ...

    @property
    def foreign(self) -> Mapping[int, Foreign]:
        """What other programs use of each GPU."""

    @property
    def hardware(self) -> HardwareSample | None: ...

    @property
    def disk(self) -> str | None: ...

    @property
    def disk_free_mb(self) -> int | None: ...

    @property
    def disk_warning(self) -> str | None: ...


class Asked(NamedTuple):
    """What only somebody who asks for it knows, as `gyoza-tui check` does."""

    clock_skew_s: float | None
    """How far this machine's clock is ahead of the server's; None when the server does not say."""
    gpu_trouble: str | None
    """Why containers get no GPU; None when they do."""
    state_dir: Directory
    volumes: tuple[Directory, ...] = ()
    unknown_settings: tuple[tuple[str, str | None], ...] = ()
    """Variables that are no settings, each with the real one that is nearest."""
    unread_env_file: Path | None = None
    """A `.env` of the current directory that has settings, and was not named."""
    key_in_clear_to: str | None = None
    """The other machine to which the key goes unencrypted."""
    other_workers: tuple[str, ...] = ()
    """Those that run on this machine as well."""
    key_role: str = ""
    """What the server says that the key is for; empty where it does not say."""
    logins_trouble: str = ""
    """Why the Docker CLI's logins are not used; empty when they are."""
    docker_at: str = ""
    """The engine's socket, and the Docker context that names it; empty where that is not known."""


def checklist(facts: Facts, asked: Asked | None = None, *, own_ops: bool = False) -> tuple[Check, ...]:
    """Judged by what is known already: asks nobody. `own_ops`: the owner lists commands of this machine."""
    return tuple(_checks(facts, asked, own_ops=own_ops))


def _checks(facts: Facts, asked: Asked | None, *, own_ops: bool) -> Iterator[Check]:
    yield _server(facts)
    yield _key(facts, "" if asked is None else asked.key_role)
    if asked is not None:
        yield from _encryption(asked.key_in_clear_to)
    if asked is not None:
        yield _clock(facts, asked.clock_skew_s)
    for name, trouble in sorted(facts.backends.items()):
        yield _backend(
            name,
            trouble,
            facts.held.get(name, ()),
            own_ops=own_ops,
            probed_at=None if asked is None else asked.docker_at,
        )
    if asked is not None:
        yield from _logins(asked.logins_trouble)
    yield _gpus(facts.hardware, facts.gpu_trouble, facts.foreign)
    if asked is not None:
        yield _gpu_runtime(facts, asked.gpu_trouble)
    yield _disk(facts)
    if asked is not None:
        yield _state_dir(asked.state_dir)
        yield from map(_volume, asked.volumes)
        yield from _settings(asked.unknown_settings)
        yield from _env_file(asked.unread_env_file)
        yield from _other_workers(asked.other_workers)


_OTHER_SERVER: Final = "GYOZA_SERVER_URL=http://host:5555 or --server http://host:5555"
_SERVER_MENDS: Final = {
    Trouble.REFUSED: f"is `gyoza-tui serve` running there? Else name another: {_OTHER_SERVER}; or use --local",
    Trouble.NO_NAME: f"mend the host's name: {_OTHER_SERVER}",
    Trouble.NO_ANSWER: f"is it the right host and port, and no firewall between? {_OTHER_SERVER}",
    Trouble.CERTIFICATE: "GYOZA_CA_FILE=path: certificates that are trusted in addition to those of this machine",
    Trouble.NOT_GYOZA: f"something else answers at this address: {_OTHER_SERVER}",
}
_REFUSED_KEY: Final = (Trouble.KEY, Trouble.ROLE)
_ROLE_MEND: Final = "GYOZA_API_KEY_FILE=path or --api-key-file path: a file with the server's work key or admin key"
_KEY_MEND: Final = "GYOZA_API_KEY_FILE=path or --api-key-file path: a file with the key that the server was given"


def _server(facts: Facts) -> Check:
    link, url = facts.link, facts.server_url
    if link.name_held_now is not None:
        mend = f"stop the other worker {facts.worker_id}, or give this one a name of its own: --worker-id name"
        return Check("server", CheckState.FAILED, f"{url}: {link.name_held_now}", mend)
    if link.trouble is None:
        if link.beat_at is None:
            return Check("server", CheckState.WAITING, f"{url} was not asked yet")
        took = "" if link.latency_ms is None else f" in {link.latency_ms:.0f} ms"
        return Check("server", CheckState.OK, f"{url} answers{took}")
    if link.kind in _REFUSED_KEY:
        return Check("server", CheckState.OK, f"{url} answers, but not to this key")
    mend = _SERVER_MENDS.get(link.kind or Trouble.OTHER, f"look at the server's own messages, or: {_OTHER_SERVER}")
    return Check("server", CheckState.FAILED, f"{url}: {link.trouble}", mend)


_GOOD_FOR: Final = {
    "admin": "an admin key, good for everything",
    "work": "a work key, good for a worker",
    "submit": "a submit key, good for submitting runs and for definitions; a worker needs a work key or the admin key",
}


def _key(facts: Facts, role: str) -> Check:
    link = facts.link
    if role == "submit":
        return Check("key", CheckState.FAILED, _GOOD_FOR[role], _ROLE_MEND)
    if link.kind is Trouble.KEY:
        return Check("key", CheckState.FAILED, (link.trouble or "refused").partition(":")[0], _KEY_MEND)
    if link.kind is Trouble.ROLE:
        return Check("key", CheckState.FAILED, link.trouble or "its role does not allow it", _ROLE_MEND)
    if link.beat_at is None and link.name_held is None:
        return Check("key", CheckState.WAITING, "not known before the server answers")
    return Check("key", CheckState.OK, "the server takes it" + (f": {_GOOD_FOR.get(role, role)}" if role else ""))


def _encryption(host: str | None) -> Iterator[Check]:
    if host is not None:
        text = f"the key goes unencrypted to {host}"
        yield Check(
            "TLS", CheckState.WARNING, text, "put a proxy with TLS in front of the server, and name it by https://"
        )


def _backend(name: str, trouble: str | None, held: tuple[str, ...], *, own_ops: bool, probed_at: str | None) -> Check:
    if trouble is None and held:
        why, _, mend = held[0].partition(": ")
        runs = "1 run is held, it was" if len(held) == 1 else f"{len(held)} runs are held, they were"
        return Check(name, CheckState.WARNING, f"answers, but {runs} {why}", mend)
    if trouble is None:
        at = f" at {probed_at}" if probed_at else ""
        answers = "answers" if probed_at is None else f"answers and starts containers{at}"
        return Check(name, CheckState.OK, answers if name == DOCKER else "ready")
    if trouble == UNCHECKED:
        return Check(name, CheckState.WAITING, trouble)
    if name != DOCKER:
        return Check(name, CheckState.FAILED, trouble)
    does_without = own_ops and _NO_DOCKER in trouble
    return Check(name, CheckState.WARNING if does_without else CheckState.FAILED, trouble, _docker_mend(trouble))


def _logins(trouble: str) -> Iterator[Check]:
    if trouble:
        mend = "make it readable and whole, or name the directory of another: DOCKER_CONFIG=path"
        yield Check("logins", CheckState.WARNING, trouble, mend)


_NO_DOCKER: Final = "unix:///var/run/docker.sock: there is no such socket"
"""No engine is installed where one would be, and none is named by DOCKER_HOST."""


_DOCKER_MENDS: Final = (
    ("permission denied", "add yourself to the group docker: sudo usermod -aG docker $USER, then log in again"),
    (
        "no such socket",
        "install Docker, or sudo systemctl start docker, or say where it listens: DOCKER_HOST=unix:///path",
    ),
    ("behind ssh", "ssh -NL ~/d.sock:/var/run/docker.sock user@host, and DOCKER_HOST=unix://$HOME/d.sock"),
    (
        "not the address of an engine",
        "DOCKER_HOST=unix:///var/run/docker.sock or tcp://host:2376, or unset DOCKER_HOST",
    ),
    ("lacks TLS certificates", "DOCKER_CERT_PATH=directory with ca.pem, cert.pem and key.pem, or unset both variables"),
    ("HTTP request to an HTTPS server", "DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH=directory with its certificates"),
    ("cannot be found out", "correct that, or say where the engine listens: DOCKER_HOST=unix:///var/run/docker.sock"),
    ("starts no container: network ", "GYOZA_DOCKER_NETWORK=name: one that `docker network ls` lists"),
    ("unknown capability", "correct the names in GYOZA_DOCKER_CAP_ADD"),
    ("not answer in time", "sudo systemctl restart docker"),
    ("starts no container", "sudo systemctl restart docker"),
)
"""By the words of its backend for the causes that it knows; the first that fits."""


def _docker_mend(trouble: str) -> str:
    return next((mend for words, mend in _DOCKER_MENDS if words in trouble), "sudo systemctl start docker")


def _clock(facts: Facts, skew_s: float | None) -> Check:
    if skew_s is None:
        why = (
            "the server does not tell its time" if facts.link.trouble is None else "not known before the server answers"
        )
        return Check("clock", CheckState.WAITING, why)
    if abs(skew_s) <= SKEW_MAX_S:
        return Check("clock", CheckState.OK, f"within {SKEW_MAX_S:g} s of the server's")
    side = "ahead of" if skew_s > 0 else "behind"
    text = f"{abs(skew_s):.0f} s {side} the server's: times in logs and events will not fit together"
    return Check("clock", CheckState.FAILED, text, "sudo timedatectl set-ntp true, on both machines")


SKEW_MAX_S: Final = 5.0


def _gpus(hardware: HardwareSample | None, trouble: Mapping[int, str], foreign: Mapping[int, Foreign]) -> Check:
    if hardware is None:
        return Check("GPUs", CheckState.WAITING, "not looked at yet")
    if trouble:
        text = "; ".join(f"GPU {gpu} is not offered: {words}" for gpu, words in trouble.items())
        return Check("GPUs", CheckState.WARNING, text, "does `nvidia-smi` answer? Other runs are taken")
    found, note = ", ".join(_gpu_names(hardware)), hardware.gpu_note
    if found and (used := [_used_by_others(gpu, use) for gpu, use in foreign.items() if use.mb]):
        mend = "runs do not get that memory; end what should not have it"
        return Check("GPUs", CheckState.WARNING, f"{found}; {'; '.join(used)}", mend)
    if note is None:
        return Check("GPUs", CheckState.OK, found or "none: this machine has no NVIDIA driver")
    mend = _GPU_MENDS.get(note, "does `nvidia-smi` answer?") + ("" if found else " CPU runs are taken")
    return Check("GPUs", CheckState.WARNING, f"{found}; {note}" if found else note, mend)


_GPU_MENDS: Final = {
    DRIVER_NOT_LOADED: "load it: sudo modprobe nvidia; if that fails, `sudo dmesg | grep -i nvidia` has the reason.",
    VERSION_MISMATCH: (
        "reboot, or reload the driver once nothing uses a GPU: "
        "sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia; sudo modprobe nvidia."
    ),
}


def _gpu_names(hardware: HardwareSample) -> list[str]:
    names = [gpu.info.name or "unknown" for gpu in hardware.gpus]
    return [f"{names.count(name)} {name}" for name in dict.fromkeys(names)]


def _used_by_others(gpu: int, use: Foreign) -> str:
    processes = [f"{one.name or 'a process'} (pid {one.pid}, {one.user or 'user unknown'})" for one in use.processes]
    more = f" and {len(processes) - _NAMED_MAX} more" if len(processes) > _NAMED_MAX else ""
    names = f": {', '.join(processes[:_NAMED_MAX])}{more}" if processes else ""
    return f"other programs use {use.mb / 1024:.0f} GB of GPU {gpu}{names}"


_NAMED_MAX: Final = 3

_FREE_MEND: Final = "free some space, or lower GYOZA_MIN_FREE_MB=megabytes"


def _disk(facts: Facts) -> Check:
    if facts.disk is not None:
        return Check("disk", CheckState.FAILED, facts.disk, _FREE_MEND)
    if facts.disk_warning is not None:
        return Check("disk", CheckState.WARNING, facts.disk_warning, _FREE_MEND)
    if facts.disk_free_mb is None:
        return Check("disk", CheckState.WAITING, "not looked at yet")
    return Check("disk", CheckState.OK, f"{facts.disk_free_mb / 1024:.0f} GB free")


def _gpu_runtime(facts: Facts, trouble: str | None) -> Check:
    if facts.hardware is None or not facts.hardware.gpus:
        return Check("GPU runtime", CheckState.OK, "not needed: no GPU to pass on")
    if facts.backends.get(DOCKER) is not None:
        return Check("GPU runtime", CheckState.WAITING, "not known before Docker answers")
    if trouble is None:
        return Check("GPU runtime", CheckState.OK, "Docker passes GPUs on")
    mend = (
        "install nvidia-container-toolkit, then: "
        "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
    )
    return Check("GPU runtime", CheckState.FAILED, trouble, mend)


def _state_dir(found: Directory) -> Check:
    if found.trouble is None:
        return Check("state", CheckState.OK, found.path + (f": {found.note}" if found.note else ""))
    return Check("state", CheckState.FAILED, found.trouble, "GYOZA_STATE_DIR=path or --state-dir path")


def _volume(found: Directory) -> Check:
    if found.trouble is None:
        return Check("volumes", CheckState.OK, found.path)
    return Check("volumes", CheckState.FAILED, found.trouble, f"mkdir -p {found.path}, or mend GYOZA_ALLOW_VOLUMES")


def _settings(unknown: tuple[tuple[str, str | None], ...]) -> Iterator[Check]:
    if not unknown:
        yield Check("settings", CheckState.OK, "every name is known")
    for name, near in unknown:
        if near is None:
            text = f"{name} in the environment is not a setting"
            yield Check("settings", CheckState.WARNING, text, f"unset {name}, unless another program wants it")
        else:
            text = f"{name} in the environment is not a setting: did you mean {near}?"
            yield Check("settings", CheckState.FAILED, text, f'export {near}="${name}"; unset {name}')


def _env_file(unread: Path | None) -> Iterator[Check]:
    if unread is not None:
        text = f"{unread} has settings, but is not read"
        yield Check("settings", CheckState.WARNING, text, f"{env_files.NAMING}, if you trust it")


def _other_workers(names: tuple[str, ...]) -> Iterator[Check]:
    if names:
        text = f"worker {', '.join(names)} runs on this machine as well: each offers all of it"
        mend = (
            "GYOZA_RESERVE_CPU, GYOZA_RESERVE_RAM_MB and GYOZA_RESERVE_VRAM_MB: let each keep back what the others have"
        )
        yield Check("workers", CheckState.WARNING, text, mend)
