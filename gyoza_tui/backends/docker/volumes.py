"""What a run gets of this machine's directories, and the proof that it got that.

A process that may write above a path can lead it elsewhere at any moment. So a path is followed once, when the
container is made; what it led to is opened without following a link, and staged until the container has it. After the
start the container's own mounts are compared with it, for where it cannot be staged.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gyoza_tui.backends import mount_table
from gyoza_tui.backends.base import BackendError, BackendOptions, NotExecutable, Spec
from gyoza_tui.backends.docker import staging
from gyoza_tui.backends.docker.allow_list import AllowList
from gyoza_tui.backends.docker.creation import Volume
from gyoza_tui.backends.docker.engine import Engine

_ENGINE_SOCKETS: Final = ("/var/run/docker.sock", "/run/containerd/containerd.sock")
_LOOKS: Final = 10
_LOOK_S: Final = 0.001
"""A directory that is renamed between the two halves of a comparison is still the same: look again."""


class VolumeChanged(BackendError):
    """A volume is no longer what was checked: its run is not to blame."""


class Volumes:
    """Thread-safe."""

    def __init__(self, engine: Engine, options: BackendOptions) -> None:
        self._engine = engine
        self._options = options
        self._staged = staging.STAGING_ROOT / options.instance_id
        self._making = threading.Lock()

    def refusal(self, volumes: Mapping[str, str]) -> str | None:
        """Why a run may not have these, in words."""
        allow_list = self._allow_list()
        try:
            for host, inside in volumes.items():
                allow_list.real(host, inside)
        except BackendError as error:
            return str(error)
        return None

    @contextmanager
    def of(self, spec: Spec) -> Iterator[list[Volume]]:
        """What the engine is to be given, while the container is made. Raises BackendError."""
        if not spec.volumes:
            yield []
            return
        with self._making:
            try:
                yield self._prepared(spec)
            except BaseException:
                staging.clear(self._staged / spec.name)
                raise

    def stage(self, volumes: Iterable[Volume]) -> None:
        """Before the start. Raises VolumeChanged when what was checked is no longer there."""
        for volume in volumes:
            if not _is_staged(volume):
                continue
            try:
                with _opened(volume.real) as found:
                    staging.make_place(Path(volume.source), directory=_is_directory(found))
                    staging.stage(found, Path(volume.source))
            except OSError as error:
                words = f"volume {volume.real!r} was replaced before the op could start: {error.strerror}"
                raise VolumeChanged(words) from error

    def trouble(self, volumes: Iterable[Volume], container: str, pid: int) -> str | None:
        """Why what runs there has not the volumes that were checked, in words.

        None as well where that cannot be seen: its first process has ended, or the engine is not on this machine.
        """
        sources = [volume.source for volume in volumes]
        if not self._engine_sees_our_paths():
            return None
        for _ in range(_LOOKS):
            try:
                if container not in Path(f"/proc/{pid}/cgroup").read_text(errors="surrogateescape"):
                    return None
                has = Counter(mount.what for mount in mount_table.mounts(pid))
            except OSError:
                return None
            wanted = [_what(source) for source in sources]
            if None not in wanted and Counter(wanted) <= has:
                return None
            time.sleep(_LOOK_S)
        return (
            f"a volume was replaced while the op was started, and the op was killed: {', '.join(sources)}. "
            "Another process on this machine can rename what is above that path"
        )

    def release(self, volumes: Iterable[Volume]) -> None:
        """After the container is gone. What cannot be cleared now is tried again by `prune`."""
        folders = {Path(volume.source).parent for volume in volumes if _is_staged(volume)}
        if not folders:
            return
        with self._making:  # the last one takes the directory of all, in which another may just be made
            for folder in folders:
                with contextlib.suppress(OSError):
                    staging.clear(folder)

    def prune(self, exists: Callable[[str], bool]) -> None:
        """Whatever is staged for a container that is not there."""
        with self._making:
            for folder in staging.folders(self._staged):
                if not exists(folder.name):
                    with contextlib.suppress(OSError):
                        staging.clear(folder)

    def _allow_list(self) -> AllowList:
        sockets = [Path(path).resolve() for path in (self._engine.socket_path, *_ENGINE_SOCKETS) if path]
        own = (self._options.state_dir.resolve(), staging.STAGING_ROOT.resolve())
        return AllowList(self._options.allow_volumes, (*sockets, *own))

    def _prepared(self, spec: Spec) -> list[Volume]:
        allow_list = self._allow_list()
        folder = self._staged / spec.name if staging.may_mount() and self._engine_sees_our_paths() else None
        return [
            _prepared(folder and folder / str(number), allow_list.real(host, inside), inside)
            for number, (host, inside) in enumerate(spec.volumes.items())
        ]

    def _engine_sees_our_paths(self) -> bool:
        pid = self._engine.pid()
        return pid is not None and mount_table.shares_mounts(pid)


def _prepared(place: Path | None, real: Path, inside: str) -> Volume:
    try:
        with _opened(str(real)) as found:
            if place is not None:
                staging.make_place(place, directory=_is_directory(found))
    except FileNotFoundError as error:
        raise NotExecutable(f"volume {str(real)!r}: this worker sees no such path") from error
    except OSError as error:
        raise VolumeChanged(f"volume {str(real)!r} cannot be prepared: {error}") from error
    return Volume(str(place or real), str(real), inside)


@contextmanager
def _opened(real: str) -> Iterator[int]:
    """Without following any link. Raises OSError."""
    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in Path(real).parts[1:]:
            inner = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = inner
            if stat.S_ISLNK(os.fstat(here).st_mode):
                raise OSError(errno.ELOOP, "it has become a link", real)
        yield here
    finally:
        os.close(here)


def _is_directory(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def _is_staged(volume: Volume) -> bool:
    return Path(volume.source).is_relative_to(staging.STAGING_ROOT)


def _what(source: str) -> mount_table.Mounted | None:
    """What a container that mounts the source has to show."""
    try:
        with _opened(source) as found:
            return mount_table.what_is_open(found)
    except OSError:
        return None
