"""The login for a registry: from the CLI's `config.json`, or from the credential helper that it names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from docker import auth
from docker.errors import DockerException

from gyoza_tui.backends.base import PullCancelled, PullFailed
from gyoza_tui.backends.docker import docker_config
from gyoza_tui.backends.docker.docker_config import DockerConfig, DockerConfigError

_LOOK_S: Final = 0.1
_NOT_FOUND: Final = "credentials not found in native keychain"
"""By which every helper says that it has none."""
_WORDS_MAX: Final = 200


class _Unreadable(Exception):
    """Why there is no login, in words."""


def login(repository: str, waits_for: Callable[[str], None], cancel: threading.Event) -> dict[str, str]:
    """The request header with it; empty where there is none.

    Read again for each pull: `docker login` works without a restart of the worker. `waits_for` is called with the name
    of a helper before it is asked; `cancel` ends the helper. Raises PullFailed, PullCancelled.
    """
    try:
        registry, _ = auth.resolve_repository_name(repository)
        config = docker_config.read(os.environ)
        found = _from_helper(config, registry, waits_for, cancel) or _from_file(config, registry)
    except (DockerException, DockerConfigError, _Unreadable) as error:
        raise PullFailed(f"the Docker login for {repository} cannot be read: {error}", retryable=False) from error
    if not found:
        return {}
    header = auth.encode_header(found)
    return {"X-Registry-Auth": header.decode() if isinstance(header, bytes) else str(header)}


def _from_file(config: DockerConfig, registry: str) -> Any:
    auths = config.content.get("auths") or {}
    try:
        known = auth.AuthConfig({"auths": auth.AuthConfig.parse_auth(auths, raise_on_error=True)})
        return known.resolve_authconfig(registry)
    except (ValueError, TypeError, AttributeError) as error:
        words = f"the entries of `auths` in {config.path} are damaged ({error}); `docker login` again"
        raise _Unreadable(words) from error


def _from_helper(
    config: DockerConfig, registry: str, waits_for: Callable[[str], None], cancel: threading.Event
) -> dict[str, str] | None:
    """What the registry's helper says; None where it has none, or none is named."""
    server = auth.INDEX_URL if registry == auth.INDEX_NAME else registry
    name = config.texts("credHelpers").get(server) or config.text("credsStore")
    if not name:
        return None
    program = f"docker-credential-{name}"
    waits_for(f"the credential helper {program}")
    printed = _printed(program, server, config, cancel)
    if printed is None:
        return None
    try:
        said = json.loads(printed)
        user, secret = str(said["Username"]), str(said["Secret"])
    except (ValueError, LookupError, TypeError) as error:
        what = "what is no credential" if printed.strip() else "nothing"
        raise _Unreadable(f"the credential helper {program} printed {what} for {server}") from error
    if not user and not secret:
        return None
    if user == auth.TOKEN_USERNAME:
        return {"ServerAddress": server, "IdentityToken": secret}
    return {"ServerAddress": server, "Username": user, "Password": secret}


def _printed(program: str, server: str, config: DockerConfig, cancel: threading.Event) -> str | None:
    """What the helper prints for that registry; None where it says that it knows none."""
    try:
        helper = subprocess.Popen(
            [program, "get"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        words = f"the credential helper {program} that {config.path} names does not start: {error.strerror}"
        raise _Unreadable(words) from error
    out, err = _communicate(helper, server.encode(), program, cancel)
    words = (out.strip() or err.strip()).decode(errors="replace")
    if helper.returncode == 0:
        return out.decode(errors="replace")
    if _NOT_FOUND in words:
        return None
    said = words[:_WORDS_MAX] or "no message"
    raise _Unreadable(f"the credential helper {program} ended with exit code {helper.returncode}: {said}")


def _communicate(
    helper: subprocess.Popen[bytes], server: bytes, program: str, cancel: threading.Event
) -> tuple[bytes, bytes]:
    question: bytes | None = server
    while True:
        try:
            return helper.communicate(question, timeout=_LOOK_S)
        except subprocess.TimeoutExpired:
            question = None
            if not cancel.is_set():
                continue
            with suppress(ProcessLookupError):
                os.killpg(helper.pid, signal.SIGKILL)
            helper.wait()
            raise PullCancelled(f"the credential helper {program} was ended: it did not answer") from None
