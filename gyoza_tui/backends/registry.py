"""The backends there are. Adding one is a folder here and an entry in `BACKENDS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gyoza_tui.backends.base import Backend, BackendOptions
from gyoza_tui.backends.fault_border import Border
from gyoza_tui.models.images import DOCKER, LOCAL


def _docker(options: BackendOptions) -> Backend:
    def make() -> Backend:
        from gyoza_tui.backends.docker.backend import DockerBackend

        return DockerBackend(options)

    return Border(DOCKER, make)


def _local(options: BackendOptions) -> Backend:
    """The owner's list is read at once: its faults keep a worker from starting."""
    from gyoza_tui.backends.local.ops import read_ops

    ops = read_ops(options.ops_file) if options.ops_file else {}

    def make() -> Backend:
        from gyoza_tui.backends.local.backend import LocalBackend

        return LocalBackend(options, ops)

    return Border(LOCAL, make)


BACKENDS: Final[dict[str, Callable[[BackendOptions], Backend]]] = {DOCKER: _docker, LOCAL: _local}
"""By the scheme of image names. Made, and their libraries loaded, only when they are asked for."""
