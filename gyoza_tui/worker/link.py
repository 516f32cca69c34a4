"""What this worker knows of its server: whether it answers, who it is, and until when its lease holds."""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

import httpx

from gyoza_tui.client.answers import Meaning, Trouble, error_code, meaning, retry_after_s, trouble, words
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.workers import HeartbeatReply
from gyoza_tui.worker.backoff import Backoff
from gyoza_tui.worker.notices import Notices

HELD_BY_ANOTHER: Final = frozenset({ErrorCode.INSTANCE_LIVE, ErrorCode.EPOCH})


class LinkState(NamedTuple):
    """As it stood after the last beat."""

    registered: bool = False
    """The server has taken a beat of this process; from then on claims make sense."""
    trouble: str | None = None
    """Why the last request failed, in words; None when it did not."""
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
    latency_ms: float | None = None
    beat_at: float | None = None
    """Boot time from before the last accepted beat was sent."""
    down_since: float | None = None
    """Boot time of the first failure since the server last answered; None while it does, or never did."""

    @property
    def name_held_now(self) -> str | None:
        """`name_held`, unless the last request failed in another way: then nobody knows who has the name."""
        return self.name_held if self.trouble in (None, self.name_held) else None


class ServerLink:
    """Shared by the duties. Thread-safe."""

    def __init__(self, clock: Clock, notices: Notices, heartbeat_s: float) -> None:
        self._clock = clock
        self._notices = notices
        self._lock = threading.Lock()
        self._state = LinkState(heartbeat_s=heartbeat_s)
        self._listeners: list[threading.Event] = []
        self.backoff = Backoff(clock)
        """Of everything that is sent to the server but heartbeats, which find out that it is back."""

    @property
    def state(self) -> LinkState:
        return self._state

    def wakes(self, event: threading.Event) -> None:
        """Set `event` whenever a request succeeds after a failure, or another server answers."""
        self._listeners.append(event)

    @property
    def lease_holds(self) -> bool:
        """Whether the server surely still counts us as alive. Without a lease there is nothing to lose."""
        state = self._state
        if state.lease_s is None or state.beat_at is None:
            return True
        return self._clock.boot() < state.beat_at + state.lease_s

    @property
    def silent_s(self) -> float:
        """Seconds since the last accepted beat was sent; 0 before the first."""
        beat_at = self._state.beat_at
        return 0.0 if beat_at is None else self._clock.boot() - beat_at

    def beaten(self, reply: HeartbeatReply, sent_at: float) -> None:
        """A beat was accepted."""
        latency_ms = (self._clock.boot() - sent_at) * 1000
        with self._lock:
            old = self._state
            self._state = old._replace(
                registered=True,
                name_held=None,
                server_id=reply.server_id or "",
                protocol=reply.protocol,
                lease_s=reply.lease_s,
                grace_s=old.grace_s if reply.grace_s is None else reply.grace_s,
                heartbeat_s=reply.heartbeat_s or old.heartbeat_s,
                queued=reply.queued,
                latency_ms=latency_ms,
                beat_at=sent_at,
            )
        if old.registered and old.name_held is None and old.server_id != self._state.server_id:
            self._notices.say("another server answers at this address: runs of the former one are held", "warning")
        news = old.beat_at is None or old.name_held is not None
        if news:
            self._notices.say(f"the server answers ({latency_ms:.0f} ms)", server="ok")
        if self._forget_trouble(told=news) or news or old.server_id != self._state.server_id:
            self._wake()

    def succeeded(self) -> None:
        """Some request was answered as it should be."""
        if self._forget_trouble(told=False):
            self._wake()

    def _forget_trouble(self, *, told: bool) -> bool:
        """Whether there was any; says that it is over unless that is told already."""
        with self._lock:
            old = self._state
            self._state = old._replace(trouble=None, kind=None, unauthorized=False, down_since=None)
        self.backoff.succeed()
        if old.trouble is not None and not told:
            self._notices.say("the server answers again", server="ok")
        return old.trouble is not None

    def _wake(self) -> None:
        for event in self._listeners:
            event.set()

    def failed(self, error: httpx.HTTPError) -> None:
        """A request failed in a way that says something about the server, or about who we are to it."""
        text = words(error)
        code = error_code(error) if isinstance(error, httpx.HTTPStatusError) else None
        with self._lock:
            old = self._state
            held = text if code in HELD_BY_ANOTHER else old.name_held
            self._state = old._replace(
                trouble=text,
                kind=trouble(error),
                unauthorized=meaning(error) in (Meaning.UNAUTHORIZED, Meaning.FORBIDDEN),
                name_held=held,
                down_since=old.down_since if old.beat_at is None or old.down_since else self._clock.boot(),
                registered=old.registered and code not in HELD_BY_ANOTHER and code != ErrorCode.WORKER_UNKNOWN,
            )
        self.backoff.fail(retry_after_s(error))
        if old.trouble != text:
            self._notices.say(f"server: {text}; trying again", "warning", server=text)
