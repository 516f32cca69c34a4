"""The server, worker and engine that benches measure: processes of their own, in a directory that goes with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.utils import kwargs_from_env

from tests.blackbox.house import House
from tests.images import build_busybox


@contextmanager
def place() -> Iterator[House]:
    """With Docker, and the defaults of a server but for the free port."""
    with tempfile.TemporaryDirectory(prefix="gyoza-bench-") as root:
        engine = docker.APIClient(**kwargs_from_env())
        build_busybox(engine)
        with House(Path(root), heartbeat_s=5) as house:
            house.engine = engine
            yield house
        engine.close()
