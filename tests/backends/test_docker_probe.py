"""Whether the engine starts containers: found out by starting one, of which nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from gyoza_tui.backends.base import BackendBroken, BackendError, Label
from gyoza_tui.backends.docker import probe
from tests.backends.docker_ops import DockerOps
from tests.engine import PrivateEngine
from tests.images import BUSYBOX

pytestmark = pytest.mark.docker


@pytest.fixture
def ops(docker_engine: docker.APIClient, tmp_path: Path) -> Iterator[DockerOps]:
    made = DockerOps(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("io", ["bind", "volume"])
@pytest.mark.parametrize("image", [BUSYBOX, "gyoza-test/not-here:1"])
def test_an_engine_in_health_starts_a_probe_and_keeps_nothing_of_it(
    docker_engine: docker.APIClient, tmp_path: Path, io: str, image: str
) -> None:
    ops = DockerOps(tmp_path, docker_io=io)
    ops.labels[Label.WORKER] = ops.instance
    ops.backend.probe(ops.spec(image=image))
    assert ops.backend.find(ops.labels) == []
    assert docker_engine.volumes(filters={"label": f"gyoza.instance={ops.instance}"})["Volumes"] in (None, [])
    assert _images(docker_engine, ops) == []
    ops.close()


def test_what_an_earlier_probe_left_is_removed(ops: DockerOps) -> None:
    left = ops.spec("sleep", "1000")
    ops.backend.start(ops.backend.create(left))
    ops.backend.probe(replace(left, image="gyoza-test/not-here:1"))
    assert ops.backend.find(ops.labels) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"docker_network": "gyoza-no-such-network"}, "network gyoza-no-such-network not found"),
        ({"docker_cap_add": ("NO_SUCH",)}, "unknown capability"),
    ],
)
def test_what_the_owner_set_and_the_engine_refuses_is_found(
    docker_engine: docker.APIClient, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    """Every run would fail of it, so it is the machine's fault."""
    ops = DockerOps(tmp_path, **options)
    with pytest.raises(BackendBroken, match=words):
        ops.backend.probe(ops.spec())
    ops.close()


def test_a_broken_network_shows_in_a_probe_and_in_no_ping(
    bridged_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", bridged_engine.host)
    ops = DockerOps(tmp_path, docker_network="bridge")
    ops.backend.probe(ops.spec())
    bridged_engine.break_network()
    ops.backend.check()
    with pytest.raises(BackendError, match="could not find bridge"):
        ops.run("true")
    with pytest.raises(BackendBroken, match="could not find bridge"):
        ops.backend.probe(ops.spec())
    bridged_engine.repair_network()
    ops.backend.probe(ops.spec())
    _, _, end = ops.run("true")
    assert end.code == 0
    ops.close()


def test_the_image_of_a_probe_that_was_killed_is_swept(
    ops: DockerOps, docker_engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops.labels[Label.WORKER] = ops.instance
    with monkeypatch.context() as killed:
        killed.setattr(docker.APIClient, "remove_image", lambda *_: None)
        ops.backend.probe(ops.spec())
    assert len(_images(docker_engine, ops)) == 1
    ops.backend.prune(ops.labels)
    assert len(_images(docker_engine, ops)) == 1, "it may be of a probe under way"
    monkeypatch.setattr(probe, "_LASTS_S", -2.0)
    ops.backend.prune(ops.labels)
    assert _images(docker_engine, ops) == []


def test_an_image_that_a_container_holds_keeps_nothing_else_from_being_swept(
    ops: DockerOps, docker_engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what is left of a probe whose engine failed while it cleaned up."""
    ops.labels[Label.WORKER] = ops.instance
    with monkeypatch.context() as failing:
        failing.setattr(docker.APIClient, "remove_image", lambda *_: None)
        ops.backend.probe(ops.spec())
    (image,) = _images(docker_engine, ops)
    holder = docker_engine.create_container(image, ["/none"], host_config=docker_engine.create_host_config())["Id"]
    volume = docker_engine.create_volume(labels=dict(ops.labels))["Name"]
    monkeypatch.setattr(probe, "_LASTS_S", -2.0)
    try:
        ops.backend.prune(ops.labels)
        assert docker_engine.volumes(filters={"name": volume})["Volumes"] in (None, [])
    finally:
        docker_engine.remove_container(holder, force=True)
        ops.backend.prune(ops.labels)
    assert _images(docker_engine, ops) == []


def _images(client: docker.APIClient, ops: DockerOps) -> list[str]:
    return [image["Id"] for image in client.images(filters={"label": f"gyoza.probe={ops.instance}"})]
