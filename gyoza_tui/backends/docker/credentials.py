"""The logins for registries: from the CLI's `config.json`, or from the credential helper that it names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

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
        source = _Source(docker_config.read(os.environ), waits_for, cancel)
        found = source.login_of(auth.INDEX_URL if registry == auth.INDEX_NAME else registry)
    except (DockerException, DockerConfigError, _Unreadable) as error:
        raise PullFailed(f"the Docker login for {repository} cannot be read: {error}", retryable=False) from error
    if not found:
        return {}
    header = auth.encode_header(found)
    return {"X-Registry-Auth": header.decode() if isinstance(header, bytes) else str(header)}


def logins(waits_for: Callable[[str], None], cancel: threading.Event) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Those for all registries that the file or a helper knows, by the registry, and why others are left out.

    A build may need any. Once `cancel` has ended a helper, no other is asked.
    """
    found: dict[str, dict[str, str]] = {}
    faults: list[str] = []
    try:
        source = _Source(docker_config.read(os.environ), waits_for, cancel)
        for server in source.servers(faults.append):
            try:
                known = source.login_of(server)
            except _Unreadable as error:
                faults.append(str(error))
                continue
            registry = auth.resolve_index_name(server)
            names = (server, registry, auth.INDEX_URL) if registry == auth.INDEX_NAME else (server, registry)
            found |= dict.fromkeys(names, known) if known else {}
    except (DockerConfigError, PullCancelled) as error:
        faults.append(str(error))
    return found, list(dict.fromkeys(faults))


class _Source(NamedTuple):
    """What knows logins: the file, and the helpers that it names."""

    config: DockerConfig
    waits_for: Callable[[str], None]
    cancel: threading.Event

    @property
    def _auths(self) -> dict[str, Any]:
        found = self.config.content.get("auths")
        return found if isinstance(found, dict) else {}

    def servers(self, fault: Callable[[str], None]) -> list[str]:
        """All registries that one is known for, as it is written; `fault` gets why a helper lists none."""
        listed: dict[str, Any] = {}
        if name := self.config.text("credsStore"):
            try:
                listed = self._answer(_program(name), "list") or {}
            except _Unreadable as error:
                fault(str(error))
        return list(dict.fromkeys([*self._auths, *self.config.texts("credHelpers"), *listed]))

    def login_of(self, server: str) -> dict[str, str] | None:
        return self._from_helper(server) or self._from_file(auth.resolve_index_name(server))

    def _from_file(self, registry: str) -> dict[str, str] | None:
        """A damaged entry of another registry is no matter."""
        auths = self._auths
        same = (server for server in auths if auth.resolve_index_name(server) == registry)
        server = registry if registry in auths else next(same, None)
        if server is None:
            return None
        try:
            found: dict[str, str] = auth.AuthConfig.parse_auth({server: auths[server]}, raise_on_error=True)[server]
        except (DockerException, ValueError, TypeError, AttributeError) as error:
            words = f"the entry {server} in {self.config.path} is damaged; `docker login {registry}` writes it again"
            raise _Unreadable(words) from error
        return found

    def _from_helper(self, server: str) -> dict[str, str] | None:
        """What the registry's helper says; None where it has none, or none is named."""
        name = self.config.texts("credHelpers").get(server) or self.config.text("credsStore")
        said = self._answer(_program(name), "get", server) if name else None
        if said is None:
            return None
        try:
            user, secret = str(said["Username"]), str(said["Secret"])
        except LookupError as error:
            words = f"the credential helper {_program(name)} printed what is no credential for {server}"
            raise _Unreadable(words) from error
        if not user and not secret:
            return None
        if user == auth.TOKEN_USERNAME:
            return {"ServerAddress": server, "IdentityToken": secret}
        return {"ServerAddress": server, "Username": user, "Password": secret}

    def _answer(self, program: str, order: str, server: str = "") -> dict[str, Any] | None:
        """The JSON object that the helper prints; None where it says that it knows no such registry."""
        self.waits_for(f"the credential helper {program}")
        printed = self._printed(program, order, server)
        if printed is None:
            return None
        with suppress(ValueError, RecursionError):
            if isinstance(said := json.loads(printed), dict):
                return said
        what = "what is no credential" if printed.strip() else "nothing"
        raise _Unreadable(f"the credential helper {program} printed {what} for {server or order}")

    def _printed(self, program: str, order: str, server: str) -> str | None:
        try:
            helper = subprocess.Popen(
                [program, order],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            words = f"the credential helper {program} that {self.config.path} names does not start: {error.strerror}"
            raise _Unreadable(words) from error
        out, err = _communicate(helper, server.encode(), program, self.cancel)
        words = (out.strip() or err.strip()).decode(errors="replace")
        if helper.returncode == 0:
            return out.decode(errors="replace")
        if _NOT_FOUND in words:
            return None
        said = words[:_WORDS_MAX] or "no message"
        raise _Unreadable(f"the credential helper {program} ended with exit code {helper.returncode}: {said}")


def _program(name: str) -> str:
    return f"docker-credential-{name}"


def _communicate(
    helper: subprocess.Popen[bytes], question: bytes, program: str, cancel: threading.Event
) -> tuple[bytes, bytes]:
    asked: bytes | None = question
    try:
        while not cancel.is_set():
            with suppress(subprocess.TimeoutExpired):
                return helper.communicate(asked, timeout=_LOOK_S)
            asked = None
        raise PullCancelled(f"the credential helper {program} was ended: it did not answer")
    finally:
        if helper.returncode is None:  # also for a Ctrl-C, which does not reach its session
            with suppress(ProcessLookupError):
                os.killpg(helper.pid, signal.SIGKILL)
            helper.wait()
