"""Which directories of this machine a run may mount."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from gyoza_tui.backends.base import BackendError
from gyoza_tui.backends.docker.creation import OP_DIR
from gyoza_tui.backends.path_lookup import look_up


class AllowList(NamedTuple):
    allowed: tuple[Path, ...]
    """A volume is one of these, or below one."""
    forbidden: tuple[Path, ...]
    """No volume is one of these, holds one, or is below one."""

    def real(self, host: str, inside: str) -> Path:
        """What the host path leads to now. Raises BackendError, in words, when a run may not mount it at `inside`."""
        if not host.startswith("/") or "\0" in host + inside:
            raise BackendError(f"volume {host!r}: a host path begins with '/'")
        target = Path(inside)
        if not target.is_absolute() or ".." in target.parts or len(target.parts) < 2 or target.parts[1] == "gyoza":
            raise BackendError(f"volume {host!r}: {inside!r} is not an absolute path outside {OP_DIR}")
        try:
            real = look_up(Path(host)).real
            roots = self._roots()
        except OSError as error:
            raise BackendError(f"volume {host!r}: this worker cannot follow it: {error}") from error
        if not any(real.is_relative_to(root) for root in roots):
            raise BackendError(f"volume {host!r}: not under a path that this worker's owner allows for volumes")
        for path in self.forbidden:
            if path.is_relative_to(real) or real.is_relative_to(path):
                raise BackendError(f"volume {host!r}: it would give the run {path}, which is never shared")
        return real

    def _roots(self) -> list[Path]:
        """Without those that a run with a volume under another one could lead elsewhere."""
        found = [look_up(path) for path in self.allowed]
        return [root.real for root in found if not any(root.enters(other.real) for other in found)]
