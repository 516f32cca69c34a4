"""Which engine is meant: DOCKER_HOST, DOCKER_CONTEXT, the CLI's current context, and what none of them may hide."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import docker
import pytest

from gyoza_tui.backends.base import AttemptElsewhere, AttemptPhase, BackendUnavailable
from gyoza_tui.backends.docker.backend import DockerBackend
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.place import USUAL, find
from tests.backends.docker_ops import DockerOps
from tests.engine import PrivateEngine


def _context(folder: Path, name: str, endpoint: Any, *certificates: str) -> None:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    written = {"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}
    (meta / "meta.json").write_text(endpoint if isinstance(endpoint, str) else json.dumps(written))
    tls = folder / "contexts" / "tls" / digest / "docker"
    tls.mkdir(parents=True)
    for each in certificates:
        (tls / each).write_text("")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Its current context is `mine`."""
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    _context(tmp_path, "mine", {"Host": "unix:///mine.sock"})
    _context(tmp_path, "other", {"Host": "tcp://other:2376", "SkipTLSVerify": False}, "ca.pem", "cert.pem", "key.pem")
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, "unix:///mine.sock (Docker context mine)"),
        ({"DOCKER_CONTEXT": "other"}, "tcp://other:2376 (Docker context other)"),
        ({"DOCKER_CONTEXT": "default"}, USUAL),
        ({"DOCKER_CONTEXT": "other", "DOCKER_HOST": "unix:///host.sock"}, "unix:///host.sock"),
        ({"DOCKER_CONFIG": "/nowhere"}, USUAL),
    ],
)
def test_the_order_is_the_clis(folder: Path, settings: dict[str, str], shown: str) -> None:
    assert str(find({"DOCKER_CONFIG": str(folder)} | settings)) == shown


def test_a_context_is_found_in_the_home_directory_and_without_a_config_file(folder: Path, tmp_path: Path) -> None:
    (folder / "config.json").unlink()
    home = tmp_path / "home"
    home.mkdir()
    (home / ".docker").symlink_to(folder)
    assert find({"HOME": str(home), "DOCKER_CONTEXT": "mine"}).address == "unix:///mine.sock"


def test_the_certificates_of_a_context(folder: Path) -> None:
    environment = {"DOCKER_CONFIG": str(folder)}
    other = find(environment | {"DOCKER_CONTEXT": "other"})
    assert other.url == "https://other:2376"
    assert other.tls is not None
    assert (other.tls.verify, bool(other.tls.cert), Path(other.tls.ca_cert or "").name) == (True, True, "ca.pem")
    assert find(environment).tls is None
    _context(folder, "authority", {"Host": "tcp://other:2376"}, "ca.pem")
    authority = find(environment | {"DOCKER_CONTEXT": "authority"})
    assert (authority.url, authority.tls and authority.tls.cert) == ("https://other:2376", None)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ({"Host": "ssh://me@box"}, "Docker context odd: ssh://me@box: an engine behind ssh"),
        ({"Host": "npipe:////./pipe/docker_engine"}, "is not the address of an engine"),
        ("{not json", "the Docker context odd is damaged"),
        ("[]", "the Docker context odd is damaged"),
        (None, "the Docker context odd is damaged"),
    ],
)
def test_a_context_that_cannot_be_used_is_never_replaced_by_the_usual_socket(
    folder: Path, endpoint: Any, words: str
) -> None:
    _context(folder, "odd", endpoint)
    engine = Engine({"DOCKER_CONFIG": str(folder), "DOCKER_CONTEXT": "odd"})
    with pytest.raises(BackendUnavailable) as failed:
        engine.ping()
    assert words in str(failed.value)
    assert engine.socket_path is None


def test_what_is_wrong_with_the_current_context_is_found_at_the_next_try(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text("{currentContext: mine}")
    engine = Engine({"DOCKER_CONFIG": str(folder)})
    with pytest.raises(BackendUnavailable, match=r"config.json is no JSON"):
        engine.ping()
    config.write_text(json.dumps({"currentContext": "mine"}))
    assert engine.socket_path == "/mine.sock"
    config.write_text(json.dumps({"currentContext": "other"}))
    assert engine.socket_path == "/mine.sock", "an engine does not change while it is used"


@pytest.mark.docker
def test_a_run_of_another_context_is_held(
    docker_engine: docker.APIClient, private_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops = DockerOps(tmp_path)
    handle = ops.started("sleep 1000")
    _context(tmp_path, "private", {"Host": private_engine.host})
    with monkeypatch.context() as pointed:
        pointed.delenv("DOCKER_HOST", raising=False)
        pointed.setenv("DOCKER_CONFIG", str(tmp_path))
        pointed.setenv("DOCKER_CONTEXT", "private")
        other = DockerBackend(ops.options)
        other.check()
        with pytest.raises(AttemptElsewhere, match=r"made on another Docker engine .*point DOCKER_HOST"):
            other.state(handle)
        assert other.shell(handle)[:3] == ("docker", "--context", "private")
        other.close()
    assert ops.backend.state(handle) is AttemptPhase.RUNNING
    ops.close()
