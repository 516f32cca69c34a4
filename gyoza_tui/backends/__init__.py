"""What runs an op. Adding a backend is one file here and one entry in `BACKENDS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gyoza_tui.backends.base import Backend, BackendOptions


def _docker(options: BackendOptions) -> Backend:
    from gyoza_tui.backends.docker import DockerBackend

    return DockerBackend(options)


def _local(options: BackendOptions) -> Backend:
    from gyoza_tui.backends.local import LocalBackend

    return LocalBackend(options)


BACKENDS: Final[dict[str, Callable[[BackendOptions], Backend]]] = {"docker": _docker, "local": _local}
"""By the scheme of image names. Made, and their libraries loaded, only when they are asked for."""
