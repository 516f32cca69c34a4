"""The flags by which a verb finds its settings, as typed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Connection:
    """Its server, its key and this machine's state directory."""

    server: str | None = None
    worker_id: str | None = None
    state_dir: str | None = None
    api_key_file: str | None = None
    env_file: str | None = None

    def over(self, outer: Connection | None) -> Connection:
        """These flags, and where one is not given, that before the verb."""
        if outer is None:
            return self
        return Connection(**{f.name: _first(getattr(self, f.name), getattr(outer, f.name)) for f in fields(self)})

    def as_settings(self) -> dict[str, Any]:
        """By the names of the flags of `settings.load`."""
        return {
            "server_url": self.server,
            "worker_id": self.worker_id,
            "state_dir": self.state_dir,
            "api_key_file": self.api_key_file,
            "env_file": self.env_file,
        }


def _first(inner: str | None, outer: str | None) -> str | None:
    return outer if inner is None else inner
