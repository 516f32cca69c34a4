"""What a worker knows of its server, at one moment."""

from __future__ import annotations

from typing import NamedTuple

from gyoza_tui.models.server_trouble import Trouble


class LinkState(NamedTuple):
    """As it stood after the last beat."""

    registered: bool = False
    """The server has taken a beat of this process; from then on claims make sense."""
    trouble: str | None = None
    """Why requests of some kind fail, in words; None when none does."""
    kind: Trouble | None = None
    """Which sort of trouble that is."""
    unauthorized: bool = False
    """The server refuses the key, or what its role may not do."""
    name_held: str | None = None
    """The server's words when another instance, or a later start of this one, has the worker's name."""
    server_id: str = ""
    protocol: int | None = None
    lease_s: float | None = None
    grace_s: float = 300.0
    heartbeat_s: float = 5.0
    queued: int | None = None
    features: tuple[str, ...] = ()
    """What the server understands beyond the first version of the protocol."""
    latency_ms: float | None = None
    beat_at: float | None = None
    """Boot time from before the last accepted beat was sent."""
    down_since: float | None = None
    """Boot time of the first failure since the server last answered; None while it does, or never did."""

    @property
    def answering(self) -> str | None:
        """The id of the server that answers now; None before one has taken a beat."""
        return self.server_id if self.registered else None

    def holds(self, server_id: str) -> bool:
        """Whether runs of that server are held: another one answers now."""
        return self.answering not in (None, server_id)

    @property
    def name_held_now(self) -> str | None:
        """`name_held`, unless the last request failed in another way: then nobody knows who has the name."""
        return self.name_held if self.trouble in (None, self.name_held) else None
