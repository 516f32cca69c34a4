"""Containers of an engine that is not the one that answers: out of reach, which does not mean that they are gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from gyoza_tui.backends.base import AttemptElsewhere, AttemptPhase, Handle
from gyoza_tui.backends.docker.backend import DockerBackend
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.identity import EngineIdentities
from tests.backends.docker_ops import DockerOps
from tests.engine import PrivateEngine


def _calls(backend: DockerBackend, handle: Handle) -> list[Callable[[], object]]:
    return [
        lambda: backend.state(handle),
        lambda: backend.wait(handle, 1),
        lambda: backend.started_at(handle),
        lambda: backend.start(handle),
        lambda: backend.stop(handle, 1),
        lambda: backend.describe(handle),
        lambda: backend.remove(handle),
        lambda: backend.fetch({**handle, "io": "volume"}, "output.json", 1),
    ]


@pytest.mark.docker
def test_a_container_of_another_engine_is_out_of_reach(
    docker_engine: docker.APIClient, private_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops = DockerOps(tmp_path)
    handle = ops.started("sleep 1000")
    older = {key: value for key, value in handle.items() if key != "engine"}
    assert ops.backend.renewed(older) == handle
    with monkeypatch.context() as pointed:
        pointed.setenv("DOCKER_HOST", private_engine.host)
        other = DockerBackend(ops.options)
        for call in _calls(other, handle):
            with pytest.raises(
                AttemptElsewhere, match=r"made on another Docker engine \(.+ at .+\).*point DOCKER_HOST"
            ):
                call()
        assert other.state(older) is AttemptPhase.GONE, "nothing says where it was made"
        other.close()
    assert ops.backend.state(handle) is AttemptPhase.RUNNING
    ops.close()
    assert ops.backend.state(handle) is AttemptPhase.GONE, "removed on its own engine"


@pytest.mark.docker
def test_an_engine_is_the_same_after_a_restart(
    private_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", private_engine.host)
    ops = DockerOps(tmp_path)
    handle = ops.shell("true")
    private_engine.stop()
    private_engine.start()
    ops.backend.remove(handle)
    assert ops.backend.state(handle) is AttemptPhase.GONE
    ops.backend.close()


class _Engine(Engine):
    """Says of itself what a test wants."""

    def __init__(self, *identity: str) -> None:
        super().__init__({"DOCKER_HOST": "unix:///here.sock"})
        self.now = identity

    def identity(self) -> tuple[str, str, str]:
        return self.now  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (("A", "host", "/data"), None),
        (("B", "host", "/data"), "now answers at host at unix:///here.sock: it was reinstalled"),
        (("A", "host", "/other"), "another data directory"),
        (("A", "clone", "/data"), r"\(host at unix:///here.sock\) than the one that answers now \(clone at"),
    ],
)
def test_what_tells_engines_apart(now: tuple[str, str, str], words: str | None) -> None:
    engine = _Engine("A", "host", "/data")
    identities = EngineIdentities(engine)
    handle = identities.noted({"id": "c1"})
    engine.now = now
    assert identities.noted(handle) == handle
    if words is None:
        identities.check(handle)
    else:
        with pytest.raises(AttemptElsewhere, match=words):
            identities.check(handle)


def test_an_engine_that_did_not_answer_is_asked_again_who_it_is() -> None:
    engine = _Engine("A", "host", "/data")
    identities = EngineIdentities(engine)
    before = identities.noted({"id": "c1"})
    engine.now = ("B", "host", "/data")
    assert identities.noted({"id": "c1"}) == before, "asked once"
    engine.troubles.note()
    assert identities.noted({"id": "c1"})["engine"]["id"] == "B"
