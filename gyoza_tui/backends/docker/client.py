"""docker-py's client without the logins of `config.json`, which `credentials.py` alone reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from docker import APIClient, auth

_LOGINS: Final = ("auths", "credsStore", "credHelpers")


class Client(APIClient):
    """docker-py would refuse to be made because of a damaged login, and waits for a credential helper for ever."""

    logins: Mapping[str, Any] = {}
    """By the registry; what a build may use."""

    @property
    def _general_configs(self) -> dict[str, Any]:
        return self._config

    @_general_configs.setter
    def _general_configs(self, content: dict[str, Any]) -> None:
        self._config = {name: value for name, value in content.items() if name not in _LOGINS} | {"auths": {}}

    def _set_auth_headers(self, headers: dict[str, Any]) -> None:
        if self.logins:
            headers["X-Registry-Config"] = auth.encode_header(dict(self.logins))
