"""A container's handle: made with the container, or from the engine's description of one that is found.

`{"id", "name", "io": bind | volume, "run_dir", "volumes"}`, with the engine's identity (`identity.py`).
"""

from __future__ import annotations

from typing import Any, Final

from gyoza_tui.backends.base import AttemptPhase, FoundAttempt, Handle, Spec
from gyoza_tui.backends.docker.creation import OP_DIR, Volume
from gyoza_tui.backends.docker.ends import read_state

BIND: Final = "bind"
_VOLUME: Final = "volume"
_IO: Final = "io"
_VOLUMES: Final = "volumes"


def handle_of(container: str, spec: Spec, volumes: list[Volume], *, bind: bool) -> Handle:
    return {
        "id": container,
        "name": spec.name,
        _IO: BIND if bind else _VOLUME,
        "run_dir": str(spec.run_dir),
        _VOLUMES: [list(volume) for volume in volumes],
    }


def is_bound(handle: Handle) -> bool:
    """Whether the op's directory is one of this machine, mounted into the container."""
    return bool(handle[_IO] == BIND)


def volumes_of(handle: Handle) -> list[Volume]:
    return [Volume(*volume) for volume in handle.get(_VOLUMES, [])]


def found(inspected: dict[str, Any]) -> FoundAttempt:
    """Raises LookupError and its like for a description that lacks something."""
    name = str(inspected["Name"]).lstrip("/")
    binds = [mount for mount in inspected.get("Mounts") or [] if mount.get("Type") == "bind"]
    op_dir = next((mount for mount in binds if mount["Destination"] == OP_DIR), None)
    handle = {
        "id": inspected["Id"],
        "name": name,
        _IO: BIND if op_dir else _VOLUME,
        "run_dir": op_dir["Source"] if op_dir else "",
        _VOLUMES: [[bind["Source"], bind["Source"], bind["Destination"]] for bind in binds if bind is not op_dir],
    }
    return FoundAttempt(name, handle, dict(inspected["Config"].get("Labels") or {}), read_state(inspected["State"]))


def undescribed(listed: dict[str, Any], error: Exception) -> FoundAttempt:
    """A container that the engine lists, and does not describe."""
    name = str((listed.get("Names") or [listed["Id"]])[0]).lstrip("/")
    handle = {"id": listed["Id"], "name": name, _IO: BIND, "run_dir": ""}
    trouble = f"the engine does not describe it: {error!r}"
    return FoundAttempt(name, handle, dict(listed.get("Labels") or {}), AttemptPhase.RUNNING, trouble)
