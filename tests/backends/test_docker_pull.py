"""Pulls from a real registry, and from what only looks like one."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from gyoza_tui.backends.base import ImageNotFound, PullCancelled, PullFailed, PullProgress
from tests.backends.docker_ops import DockerOps
from tests.engine import LOGIN, Registry, free_port
from tests.images import BUSYBOX

pytestmark = pytest.mark.docker


@pytest.fixture
def ops(docker_engine: docker.APIClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerOps]:
    """Without any login but a test's own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    ops = DockerOps(tmp_path)
    yield ops
    ops.close()


def _pull(ops: DockerOps, image: str, cancel: threading.Event | None = None) -> list[PullProgress]:
    seen: list[PullProgress] = []
    ops.backend.pull(image, seen.append, cancel or threading.Event())
    return seen


def _archive() -> bytes:
    """A layer that no engine has yet."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("random")
        info.size = 300_000
        tar.addfile(info, io.BytesIO(os.urandom(info.size)))
    return packed.getvalue()


def _log_in(tmp_path: Path, registry: Registry, username: str, password: str) -> None:
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.name("")[:-1]: {"auth": auth}}}))


def test_an_image_arrives_with_progress(
    ops: DockerOps, docker_engine: docker.APIClient, registry: Callable[..., Registry]
) -> None:
    source = registry()
    name = source.name("team/op:2")
    docker_engine.import_image_from_data(_archive(), repository="gyoza-test/new", tag="1")
    source.push(docker_engine, "gyoza-test/new:1", name)
    docker_engine.remove_image("gyoza-test/new:1")
    assert ops.backend.image_id(name) is None
    try:
        seen = _pull(ops, name)
        assert seen[-1].layers_total == seen[-1].layers_done == 1
        assert seen[-1].bytes_done == seen[-1].bytes_total
        assert str(ops.backend.image_id(name)).startswith("sha256:")
        assert _pull(ops, name)
    finally:
        docker_engine.remove_image(name)


def test_what_is_not_there_is_told_from_what_cannot_be_asked(
    ops: DockerOps, docker_engine: docker.APIClient, registry: Callable[..., Registry]
) -> None:
    source = registry()
    source.push(docker_engine, BUSYBOX, source.name("op:1"))
    for missing in ("op:2", "none:1"):
        with pytest.raises(ImageNotFound, match=missing):
            _pull(ops, source.name(missing))
    source.stop()
    with pytest.raises(PullFailed) as failed:
        _pull(ops, source.name("op:1"))
    assert failed.value.retryable
    with pytest.raises(PullFailed) as failed:
        _pull(ops, f"localhost:{free_port()}/op:1")
    assert failed.value.retryable


def test_a_login_is_needed_and_read_anew_for_each_pull(
    ops: DockerOps, docker_engine: docker.APIClient, registry: Callable[..., Registry], tmp_path: Path
) -> None:
    source = registry(login_needed=True)
    name = source.name("op:1")
    source.push(docker_engine, BUSYBOX, name, LOGIN)
    with pytest.raises(PullFailed, match="docker login") as failed:
        _pull(ops, name)
    assert not failed.value.retryable
    _log_in(tmp_path, source, "tester", "wrong")
    with pytest.raises(PullFailed, match="docker login") as failed:
        _pull(ops, name)
    assert not failed.value.retryable
    assert "wrong" not in str(failed.value)
    _log_in(tmp_path, source, **LOGIN)
    _pull(ops, name)
    docker_engine.remove_image(name)


def test_a_cancel_ends_the_wait_for_a_silent_registry(ops: DockerOps, hanging_registry: str) -> None:
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(PullCancelled):
        _pull(ops, f"{hanging_registry}/op:1", cancel)
    assert time.monotonic() - began < 20


def test_a_name_that_only_the_engine_refuses_names_no_image(ops: DockerOps) -> None:
    for look in (ops.backend.image_id, lambda name: _pull(ops, name)):
        with pytest.raises(ImageNotFound, match="does not take that name"):
            look("Upper/case")
