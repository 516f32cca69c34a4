"""Logins of the CLI's config.json and of credential helpers, which may print anything, or nothing for ever."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.backends.base import PullCancelled, PullFailed
from gyoza_tui.backends.docker import docker_config
from gyoza_tui.backends.docker.credentials import login, logins
from gyoza_tui.backends.docker.place import USUAL, find
from tests.backends.local_ops import alive
from tests.waiting import until

_SERVER = "registry.test:5000"
_USER = {"ServerURL": _SERVER, "Username": "me", "Secret": "s3"}
Helper = Callable[[str], None]


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "config.json"


@pytest.fixture
def helper(config: Path, tmp_path: Path) -> Helper:
    """Make one that does this, for all registries."""

    def make(script: str) -> None:
        program = tmp_path / "docker-credential-mine"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        config.write_text(json.dumps({"credsStore": "mine"}))

    return make


def _login(cancel: threading.Event | None = None, waits: list[str] | None = None) -> Any:
    waits = [] if waits is None else waits
    header = login(f"{_SERVER}/op", waits.append, cancel or threading.Event())
    return json.loads(base64.urlsafe_b64decode(header["X-Registry-Auth"])) if header else None


def test_what_a_helper_says(helper: Helper) -> None:
    helper(f"read server; [ $server = {_SERVER} ] && echo '{json.dumps(_USER)}'")
    waits: list[str] = []
    assert _login(waits=waits) == {"ServerAddress": _SERVER, "Username": "me", "Password": "s3"}
    assert waits == ["the credential helper docker-credential-mine"]
    helper("""echo '{"Username": "<token>", "Secret": "t"}'""")
    assert _login() == {"ServerAddress": _SERVER, "IdentityToken": "t"}


@pytest.mark.parametrize(
    "script", ["echo credentials not found in native keychain; exit 1", """echo '{"Username": "", "Secret": ""}'"""]
)
def test_a_helper_that_has_none_leaves_it_to_the_file(helper: Helper, config: Path, script: str) -> None:
    helper(script)
    assert _login() is None
    entry = base64.b64encode(b"you:s4").decode()
    config.write_text(json.dumps({"credsStore": "mine", "auths": {f"https://{_SERVER}": {"auth": entry}}}))
    assert (_login()["username"], _login()["password"]) == ("you", "s4")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("true", "docker-credential-mine printed nothing for registry.test:5000"),
        ("echo hello", "printed what is no credential"),
        ("echo '[]'", "printed what is no credential"),
        ("echo locked >&2; exit 3", "docker-credential-mine ended with exit code 3: locked"),
        ("kill -SEGV $$", "exit code -11: no message"),
    ],
)
def test_a_helper_that_fails_is_named(helper: Helper, script: str, words: str) -> None:
    helper(script)
    with pytest.raises(PullFailed) as failed:
        _login()
    assert words in str(failed.value)
    assert "JSONDecodeError" not in str(failed.value)


def test_a_helper_that_is_not_installed_is_named(config: Path) -> None:
    config.write_text(json.dumps({"credHelpers": {_SERVER: "gone"}}))
    with pytest.raises(PullFailed, match=r"docker-credential-gone that .*config.json names does not start: No such"):
        _login()


def test_a_helper_that_hangs_is_ended_with_its_children(helper: Helper, tmp_path: Path) -> None:
    child, cancel = tmp_path / "child", threading.Event()
    helper(f"sleep 1000 & echo $! > {child}.new; mv {child}.new {child}; wait")

    def cancel_it() -> None:
        until(child.exists, "it hangs")
        cancel.set()

    threading.Thread(target=cancel_it).start()
    with pytest.raises(PullCancelled, match="docker-credential-mine was ended"):
        _login(cancel)
    pid = int(child.read_text())
    until(lambda: not alive(pid), "the end of its child")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{not json", "config.json is no JSON"),
        ("[]", "config.json is no JSON object"),
        ('{"auths": {"registry.test:5000": {"auth": "%%%"}}}', "registry.test:5000"),
        ('{"auths": {"https://registry.test:5000/v1/": {"auth": "bm8gY29sb24="}}}', "https://registry.test:5000/v1/"),
        ('{"auths": {"registry.test:5000": {"auth": 5}}}', "registry.test:5000"),
        ('{"auths": {"registry.test:5000": 5}}', "registry.test:5000"),
        ('{"auths": []}', None),
        ("{}", None),
    ],
)
def test_a_file_that_cannot_be_used_is_named(config: Path, content: str, words: str | None) -> None:
    config.write_text(content)
    if words is None:
        assert _login() is None
    else:
        with pytest.raises(PullFailed) as failed:
            _login()
        assert words in str(failed.value)
        assert str(config) in str(failed.value)
        if "auths" in content:
            assert f"the entry {words} in {config} is damaged; `docker login {_SERVER}` writes" in str(failed.value)


def test_a_damaged_login_is_no_matter_to_other_registries(config: Path) -> None:
    entry = base64.b64encode(b"you:s4").decode()
    config.write_text(json.dumps({"auths": {"damaged.test": {"auth": "%%%"}, "odd": 5, _SERVER: {"auth": entry}}}))
    assert _login()["username"] == "you"
    assert login("public.test/op", lambda _what: None, threading.Event()) == {}
    found, faults = logins(lambda _what: None, threading.Event())
    assert set(found) == {_SERVER}
    assert [fault.partition(" in ")[0] for fault in faults] == ["the entry damaged.test", "the entry odd"]


def test_without_a_file_that_can_be_read_there_are_no_logins(config: Path) -> None:
    config.mkdir()
    assert _login() is None
    trouble = f"{config} cannot be read: Is a directory; no Docker login is used"
    assert docker_config.trouble({"DOCKER_CONFIG": str(config.parent)}) == trouble
    assert find({"DOCKER_CONFIG": str(config.parent)}).address == USUAL


_HUB = "https://index.docker.io/v1/"


def test_the_logins_that_a_build_may_need(helper: Helper, config: Path) -> None:
    helper(
        f"""if [ $1 = list ]; then echo '{{"{_HUB}": "me"}}'; exit; fi
        read server; [ $server = {_HUB} ] || {{ echo credentials not found in native keychain; exit 1; }}
        echo '{json.dumps(_USER)}'"""
    )
    entry = {"auth": base64.b64encode(b"you:s4").decode()}
    config.write_text(json.dumps({"credsStore": "mine", "auths": {_SERVER: entry, "none.test": {}}}))
    found, faults = logins(lambda _what: None, threading.Event())
    shared = {"ServerAddress": _HUB, "Username": "me", "Password": "s3"}
    assert found.pop(_SERVER)["password"] == "s4"
    assert found == {_HUB: shared, "docker.io": shared}
    assert faults == []


def test_a_helper_that_fails_is_named_once_to_a_build(helper: Helper, config: Path) -> None:
    helper("exit 3")
    config.write_text(json.dumps({"credsStore": "mine", "auths": {"a.test": {}, "b.test": {}}}))
    waits: list[str] = []
    assert logins(waits.append, threading.Event()) == (
        {},
        ["the credential helper docker-credential-mine ended with exit code 3: no message"],
    )
    assert len(waits) == 3
