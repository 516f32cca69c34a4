"""The temporary directory of a process that runs a pipeline without a worker."""

from __future__ import annotations

import atexit
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from gyoza_tui.backends.base import BackendError
from gyoza_tui.backends.registry import BACKENDS
from gyoza_tui.models.images import LOCAL
from gyoza_tui.settings import Settings
from gyoza_tui.worker.building import backend_options
from gyoza_tui.worker.state_dir import orphans
from gyoza_tui.worker.state_dir.owner import Owner
from gyoza_tui.worker.state_dir.removal import remove_tree

_PREFIX: Final = "gyoza-"
_OWNER: Final = "owner"


def make() -> Path:
    """It ends with the process."""
    home = tempfile.TemporaryDirectory(prefix=_PREFIX)
    atexit.register(home.cleanup)
    part = Path(home.name) / f"{_OWNER}.part"
    part.write_text(str(Owner.this_process()))
    part.rename(part.with_name(_OWNER))  # half of it would be that of a process that is gone
    return Path(home.name)


def clear_abandoned(settings: Settings) -> Iterator[str]:
    """Remove what killed processes of this user left, with the local ops that still run there; their names."""
    for home in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        with suppress(OSError, BackendError):
            if _abandoned(home):
                yield from _ended(home, settings)
                remove_tree(home)


def _abandoned(home: Path) -> bool:
    found = home.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return False
    owner = Owner.read((home / _OWNER).read_text())
    return owner is not None and owner.gone


def _ended(home: Path, settings: Settings) -> Iterator[str]:
    backend = BACKENDS[LOCAL](backend_options(settings, home, home.name)._replace(ops_file=None))
    for stray in backend.find({}):
        orphans.remove(backend, stray, settings.stop_grace_s)
        yield stray.name
