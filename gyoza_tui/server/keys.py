"""The keys that a server takes."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from gyoza_tui.server.errors import ServerError
from gyoza_tui.server.roles import Role


class Keys:
    """A key for each role that has one; without any, every request is the administrator's."""

    def __init__(self, keys: Mapping[Role, str | None]) -> None:
        """ServerError when a key cannot be used."""
        given = {role: key for role, key in keys.items() if key}
        for role, key in given.items():
            if not key.isascii() or not key.isprintable():
                raise ServerError(f"the {role} key holds characters that no HTTP header can carry: use printable ASCII")
            if (other := next(one for one, same in given.items() if same == key)) is not role:
                raise ServerError(f"the {other} key and the {role} key are the same: give each role a key of its own")
        if given and Role.ADMIN not in given:
            first = next(iter(given))
            raise ServerError(f"there is a {first} key but no admin key: set GYOZA_API_KEY_FILE or --api-key-file too")
        self._keys = {role: key.encode() for role, key in given.items()}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def role_of(self, given: bytes) -> Role | None:
        """The role of that key, None for a wrong one. Takes as long for every key."""
        if not self._keys:
            return Role.ADMIN
        matching = [role for role, key in self._keys.items() if hmac.compare_digest(given, key)]
        return matching[0] if matching else None
