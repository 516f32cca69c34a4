"""docker-py's client, with one pool of connections and without the logins of `config.json`.

All that we rely on of docker-py without its documentation stands here, as read at 7.2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from docker import APIClient, auth
from docker.transport import UnixHTTPAdapter

POOL_SIZE: Final = 256
_LOGINS: Final = ("auths", "credsStore", "credHelpers")


class Client(APIClient):
    """docker-py would refuse to be made because of a damaged login, and waits for a credential helper for ever.

    The logins of `config.json` are read by `credentials.py` alone.
    """

    logins: Mapping[str, Any] = {}
    """By the registry; what a build may use."""

    def pool_connections(self, socket_path: str) -> None:
        """Use each connection to that socket again, whatever it is for."""
        self.mount("http+docker://", _OnePool(f"http+unix://{socket_path}", self.timeout, max_pool_size=POOL_SIZE))

    @property
    def _general_configs(self) -> dict[str, Any]:
        return self._config

    @_general_configs.setter
    def _general_configs(self, content: dict[str, Any]) -> None:
        self._config = {name: value for name, value in content.items() if name not in _LOGINS} | {"auths": {}}

    def _set_auth_headers(self, headers: dict[str, Any]) -> None:
        if self.logins:
            headers["X-Registry-Config"] = auth.encode_header(dict(self.logins))


class _OnePool(UnixHTTPAdapter):
    """docker-py keeps a pool per URL, so that no connection is used twice, and closes the 26th one's under its user."""

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        return super().get_connection("http+docker://localhost", proxies)
