"""Image names: what Docker takes, and nothing else, passes the door."""

from __future__ import annotations

import contextlib

import docker
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gyoza_tui.models import images
from gyoza_tui.models.images import ImageRef, registry_of

DIGEST = "@sha256:" + "0a" * 32


@pytest.mark.parametrize(
    "name",
    [
        "op",
        "op:1",
        f"op{DIGEST}",
        f"op:1{DIGEST}",
        "user/op",
        "a/b/c/d:V1.0_x-y",
        "a--b",
        "a__b/c.d",
        "localhost/op",
        "registry:5000/team/op",
        "Registry.Example.com/op",
        "[::1]:5000/op",
        "a" * 237,
        "docker.io/" + "a" * 237,
        "u/" + "a" * 243,
        "r.io/" + "a" * 250,
    ],
)
def test_a_docker_image(name: str) -> None:
    assert ImageRef.parse(name) == ("docker", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Op",
        "Registry/op",
        "a___b",
        "a..b",
        "-a",
        "a_",
        "a//b",
        "registry:\u0665\u0660/op",
        "[0]/op",
        "op:" + "t" * 129,
        "op@sha256:00",
        "op name",
        "docker://op",
        "0a" * 32,
        "a" * 238,
        "docker.io/" + "a" * 238,
        "u/" + "a" * 244,
        "r.io/" + "a" * 251,
    ],
)
def test_no_image(name: str) -> None:
    with pytest.raises(ValueError, match=r"image name|its repository has|an image's id|without a scheme"):
        ImageRef.parse(name)


@pytest.mark.docker
def test_what_passes_the_engine_takes(docker_engine: docker.APIClient) -> None:
    @settings(max_examples=20, database=None, suppress_health_check=list(HealthCheck))
    @given(st.from_regex(images._DOCKER_IMAGE, fullmatch=True))
    def taken(name: str) -> None:
        try:
            ImageRef.parse(name)
        except ValueError:
            return
        if not name.startswith("["):  # engines of before 2023 know no IPv6 here
            with contextlib.suppress(docker.errors.NotFound):
                docker_engine.inspect_image(name)  # type: ignore[no-untyped-call]

    taken()


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("busybox", "docker.io"),
        ("team/op:1", "docker.io"),
        ("index.docker.io/op", "docker.io"),
        ("ghcr.io/team/op@sha256:" + "a" * 64, "ghcr.io"),
        ("localhost:5000/op:1", "localhost:5000"),
        ("op", "docker.io"),
    ],
)
def test_the_registry_of_an_image(name: str, registry: str) -> None:
    assert registry_of(name) == registry
