"""What this worker knows of its server: whether it answers, who it is, and until when its lease holds."""

from __future__ import annotations

import threading
from typing import Any, Final, NamedTuple

import httpx

from gyoza_tui.client.answers import Meaning, error_code, meaning, retry_after_s, trouble, words
from gyoza_tui.client.endpoints import HEARTBEAT, Endpoint
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.server_trouble import Trouble
from gyoza_tui.models.workers import HeartbeatReply
from gyoza_tui.worker.backoff import Backoff
from gyoza_tui.worker.link_state import LinkState
from gyoza_tui.worker.notices.notices import Notices

HELD_BY_ANOTHER: Final = frozenset({ErrorCode.INSTANCE_LIVE, ErrorCode.EPOCH})


class ServerLink:
    """Shared by the duties. Thread-safe."""

    def __init__(self, clock: Clock, notices: Notices, heartbeat_s: float) -> None:
        self._clock = clock
        self._notices = notices
        self._lock = threading.Lock()
        self._state = LinkState(heartbeat_s=heartbeat_s)
        self._listeners: list[threading.Event] = []
        self._connection = Backoff(clock)
        """Of everything that is sent to the server but heartbeats, which find out that it is back."""
        self._failing: dict[Endpoint[Any], _Failing] = {}
        """What each endpoint said last, the latest failure last, until it succeeds."""

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
                features=tuple(reply.features),
                latency_ms=latency_ms,
                beat_at=sent_at,
            )
        if old.registered and old.name_held is None and old.server_id != self._state.server_id:
            self._notices.say("another server answers at this address: runs of the former one are held", "warning")
        news = old.beat_at is None or old.name_held is not None
        if news:
            self._notices.say(f"the server answers ({latency_ms:.0f} ms)", server="ok")
        another = old.server_id != self._state.server_id
        with self._lock:
            back = another or not old.registered or HEARTBEAT in self._failing
        if self._recover(HEARTBEAT, everything=back, told=news) or news or another:
            self._wake()

    def succeeded(self, endpoint: Endpoint[Any]) -> None:
        """The endpoint answered as it should."""
        if self._recover(endpoint):
            self._wake()

    def wait_s(self, endpoint: Endpoint[Any]) -> float:
        """Seconds until the endpoint may be asked again; 0 when now.

        Any success ends the back-off of the connection. An endpoint that failed keeps its own until it succeeds.
        """
        failing = self._failing.get(endpoint)
        return max(self._connection.remaining_s, 0.0 if failing is None else failing.backoff.remaining_s)

    @property
    def next_try_s(self) -> float:
        """Seconds until the endpoint that failed last is asked again."""
        return max((self.wait_s(endpoint) for endpoint in list(self._failing)[-1:]), default=0.0)

    def try_now(self) -> None:
        """End every back-off."""
        self._connection.succeed()
        with self._lock:
            for failing in self._failing.values():
                failing.backoff.succeed()

    def _recover(self, endpoint: Endpoint[Any], *, everything: bool = False, told: bool = False) -> bool:
        """Whether there was trouble of it, or of the connection; reports its end unless that is reported already.

        `everything`: the server was away and is back, is another one, or knows this worker again.
        """
        with self._lock:
            failing = self._failing.items()
            over = [each for each, last in failing if everything or each is endpoint or last.unreached]
            for each in over:
                del self._failing[each]
            had_waited = self._connection.failures > 0
            self._connection.succeed()
            old, left = self._state, next(reversed(self._failing.values()), None)
            self._state = old._replace(
                trouble=left.words if left else None,
                kind=left.kind if left else None,
                unauthorized=left.unauthorized if left else False,
                down_since=old.down_since if left else None,
            )
        if over and left is None and not told:
            self._notices.say("the server answers again", server="ok")
        return had_waited or bool(over)

    def _wake(self) -> None:
        for event in self._listeners:
            event.set()

    def failed(self, endpoint: Endpoint[Any], error: httpx.HTTPError) -> None:
        """A request failed in a way that says something about the server, or about who we are to it."""
        text = words(error)
        code = error_code(error) if isinstance(error, httpx.HTTPStatusError) else None
        with self._lock:
            old = self._state
            told = any(each.words == text for each in self._failing.values())
            known = self._failing.pop(endpoint, None)
            failing = self._failing[endpoint] = _Failing(
                text,
                trouble(error),
                unauthorized=meaning(error) in (Meaning.UNAUTHORIZED, Meaning.FORBIDDEN),
                unreached=isinstance(error, httpx.ConnectError | httpx.ConnectTimeout),
                backoff=known.backoff if known else Backoff(self._clock),
            )
            self._state = old._replace(
                trouble=text,
                kind=failing.kind,
                unauthorized=failing.unauthorized,
                name_held=text if code in HELD_BY_ANOTHER else old.name_held,
                down_since=old.down_since if old.beat_at is None or old.down_since else self._clock.boot(),
                registered=old.registered and code not in HELD_BY_ANOTHER and code != ErrorCode.WORKER_UNKNOWN,
            )
        self._connection.fail(retry_after_s(error))
        failing.backoff.fail(retry_after_s(error))
        if not told:
            self._notices.say(f"server: {text}; trying again", "warning", server=text)


class _Failing(NamedTuple):
    """The last failure of one endpoint."""

    words: str
    kind: Trouble
    unauthorized: bool
    unreached: bool
    """Nothing was connected to: it says nothing about the endpoint."""
    backoff: Backoff
