"""Where this process may make cgroups, tried out once; one or several small groups per attempt."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from gyoza_tui.models.limits import MIB

_CONTROLLERS: Final = ("memory", "cpu", "pids")
_FREEZER: Final = "freezer"
"""A controller of version 1 alone: every group of version 2 can be frozen."""
_CPU_PERIOD_US: Final = 100_000


class Limits(NamedTuple):
    """What one attempt may use; None: no limit."""

    memory_mb: int | None = None
    cpu_tenths: int | None = None
    pids: int | None = None


class Cgroups(NamedTuple):
    """The directory below which groups of a controller are made. Version 2 has one for all, version 1 one for each."""

    parents: Mapping[str, Path]
    version: int = 2

    @property
    def controllers(self) -> tuple[str, ...]:
        return tuple(name for name in _CONTROLLERS if name in self.parents)

    def make(self, name: str, limits: Limits) -> list[str]:
        """The groups of an attempt, with its limits; made again they are the same. Raises OSError."""
        wanted = {"memory": limits.memory_mb, "cpu": limits.cpu_tenths, "pids": limits.pids}
        made: dict[str, None] = {}
        try:
            for controller, value in wanted.items():
                if value and controller in self.parents:
                    group = self.parents[controller] / name
                    made[str(group)] = None
                    group.mkdir(exist_ok=True)
                    for file, text in self._settings(controller, value):
                        if file.startswith("?"):
                            with suppress(OSError):
                                (group / file[1:]).write_text(text)
                        else:
                            (group / file).write_text(text)
            if _FREEZER in self.parents:
                freezer = self.parents[_FREEZER] / name
                made[str(freezer)] = None
                freezer.mkdir(exist_ok=True)
        except OSError:
            remove(made)
            raise
        return list(made)

    def _settings(self, controller: str, value: int) -> list[tuple[str, str]]:
        """Files and their texts; a `?` marks one that a kernel may lack (accounting of swap)."""
        memory, quota = str(value * MIB), str(value * _CPU_PERIOD_US // 10)
        if controller == "pids":
            return [("pids.max", str(value))]
        if self.version == 2:
            if controller == "memory":
                return [("memory.max", memory), ("?memory.swap.max", "0")]
            return [("cpu.max", f"{quota} {_CPU_PERIOD_US}")]
        if controller == "memory":
            return [("memory.limit_in_bytes", memory), ("?memory.memsw.limit_in_bytes", memory)]
        return [("cpu.cfs_period_us", str(_CPU_PERIOD_US)), ("cpu.cfs_quota_us", quota)]

    def left(self, prefix: str) -> list[str]:
        """Groups of ours that are still there."""
        return [str(path) for parent in set(self.parents.values()) for path in parent.glob(f"{prefix}*")]


def remove(groups: Iterable[str]) -> None:
    """Remove groups that are empty; the others stay for the next time."""
    for group in groups:
        with suppress(OSError):
            os.rmdir(group)


def find_cgroups(probe_name: str) -> Cgroups:
    """What this process may really use: each place is tried with a process that moves itself there."""
    with suppress(OSError):
        own = Path("/proc/self/cgroup").read_text(errors="surrogateescape")
        mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
        version1 = _version1(own, mounts, probe_name)
        if version1.keys() - {_FREEZER}:
            return Cgroups(version1, version=1)
        version2 = _version2(own, mounts, probe_name)
        return Cgroups(version2) if version2 else Cgroups(version1, version=1)
    return Cgroups({})


def _mounts(mountinfo: str) -> Iterable[tuple[str, str, str, set[str]]]:
    """(type, root, mount point, options of the superblock) of every cgroup mount."""
    for line in mountinfo.split("\n"):  # a path may hold what `splitlines` takes for an end
        head, _, tail = line.partition(" - ")
        fields, kind = head.split(), tail.split()
        if len(fields) > 4 and len(kind) > 2 and kind[0] in ("cgroup", "cgroup2"):
            yield kind[0], fields[3], fields[4], set(kind[2].split(","))


def _own(own: str, controller: str) -> str | None:
    """This process's path in the hierarchy of a controller; of version 2 for `""`."""
    for line in own.splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    return None


def _version1(own: str, mountinfo: str, probe_name: str) -> dict[str, Path]:
    parents: dict[str, Path] = {}
    for kind, root, point, options in _mounts(mountinfo):
        for controller in (*_CONTROLLERS, _FREEZER):
            path = _own(own, controller)
            if kind == "cgroup" and controller in options and path is not None and controller not in parents:
                below = os.path.relpath(path, root) if path.startswith(root) else "."
                parent = Path(point, below)
                if _usable(parent, probe_name):
                    parents[controller] = parent
    return parents


def _version2(own: str, mountinfo: str, probe_name: str) -> dict[str, Path]:
    """The nearest group above this process that hands controllers down and lets us in."""
    path = _own(own, "")
    for kind, root, point, _ in _mounts(mountinfo):
        if kind != "cgroup2" or path is None:
            continue
        top = Path(point)
        group = top / (os.path.relpath(path, root) if path.startswith(root) else ".")
        for parent in (group, *group.parents):
            if not parent.is_relative_to(top):
                break
            with suppress(OSError):
                handed = (parent / "cgroup.subtree_control").read_text().split()
                found: dict[str, Path] = {name: parent for name in _CONTROLLERS if name in handed}
                if found and _usable(parent, probe_name):
                    return found
    return {}


def _usable(parent: Path, probe_name: str) -> bool:
    probe = parent / probe_name
    try:
        probe.mkdir(exist_ok=True)
        moved = subprocess.run(
            ["/bin/sh", "-c", 'echo 0 > "$1/cgroup.procs"', "sh", str(probe)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=5, check=False,
        )  # fmt: skip
        return moved.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        remove([str(probe)])
