"""What a container has written to the engine's disk: its own layer, its volumes and its log."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from gyoza_tui.backends.base import VanishedHandle
from gyoza_tui.backends.directory_size import allocated
from gyoza_tui.backends.docker.containers import Containers
from gyoza_tui.backends.docker.engine import QUICK_TIMEOUT_S, Engine


class WrittenReader:
    """Reads the directories where this process may; else the engine counts, which costs it more."""

    def __init__(self, engine: Engine, containers: Containers) -> None:
        self._engine = engine
        self._containers = containers
        self._lock = threading.Lock()
        self._places: dict[str, tuple[Path, ...]] = {}

    def read(self, container: str) -> int:
        """Bytes. Raises VanishedHandle, BackendUnavailable."""
        with self._lock:
            places = self._places.get(container)
        if places is None:
            inspected = self._containers.inspect(container)
            if inspected is None:
                raise VanishedHandle(f"the container {container[:12]} is gone")
            places = _places(inspected)
            if not places:
                return self._counted(container, _volumes(inspected))
            with self._lock:
                self._places[container] = places
        return sum(map(allocated, places))

    def forget(self, container: str) -> None:
        with self._lock:
            self._places.pop(container, None)

    def _counted(self, container: str, volumes: list[dict[str, Any]]) -> int:
        with self._engine.api(QUICK_TIMEOUT_S, costly=True) as api:
            listed = api.containers(all=True, size=True, filters={"id": container})
            total = sum(int(found.get("SizeRw") or 0) for found in listed)
            if volumes:
                names = {volume["Name"] for volume in volumes}
                known = api.df().get("Volumes") or []
                total += sum(int(v["UsageData"]["Size"]) for v in known if v["Name"] in names and v.get("UsageData"))
        return total


def _volumes(inspected: dict[str, Any]) -> list[dict[str, Any]]:
    """Volumes of the container's own: a run names none."""
    return [mount for mount in inspected.get("Mounts") or [] if mount.get("Type") == "volume"]


def _places(inspected: dict[str, Any]) -> tuple[Path, ...]:
    """The directories, none where one of them is closed to this process."""
    upper = ((inspected.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir")
    if os.geteuid() != 0 or not upper:
        return ()
    found = [Path(upper), *(Path(volume["Source"]) for volume in _volumes(inspected))]
    if inspected.get("LogPath"):
        found.append(Path(inspected["LogPath"]).parent)
    return tuple(found) if all(path.is_dir() for path in found) else ()
