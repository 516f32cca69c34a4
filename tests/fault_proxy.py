"""An HTTP proxy in front of a real server that answers in its place as a test says, and keeps when requests came."""

from __future__ import annotations

import itertools
from types import TracebackType
from typing import Final, Self

import httpx

from tests.pace import Pace
from tests.scripted_server import Reply, Request, ScriptedServer

_KEPT_HEADERS = ("X-API-Key", "Content-Type")
_LOOK_S: Final = 0.05


class FaultProxy(ScriptedServer):
    """`faults` answers kinds of requests; all others are passed on."""

    def __init__(self, upstream: str, port: int = 0) -> None:
        super().__init__(port=port)
        self.faults: dict[str, Reply] = {}
        self._pace = Pace()
        self.point_to(upstream)

    def __enter__(self) -> Self:
        self._pace.__enter__()
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pace.__exit__(kind, error, tb)
        super().__exit__(kind, error, tb)

    def point_to(self, upstream: str) -> None:
        self._upstream = httpx.Client(base_url=upstream, timeout=60, limits=httpx.Limits(max_connections=None))

    def answer(self, request: Request) -> Reply:
        self.note(request)
        if (fault := self.faults.get(request.kind)) is not None:
            return fault
        headers = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
        try:
            reply = self._upstream.request(
                request.method, request.path, params=request.query, content=request.content, headers=headers
            )
        except httpx.HTTPError:
            return Reply(drop=True)
        passed_on = {name: value for name, value in reply.headers.items() if name.startswith("x-")}
        return Reply(reply.content, reply.status_code, passed_on)

    def latest_beat_s(self, interval_s: float) -> float:
        """How much more than the interval was between two beats that arrived here, whatever they were answered.

        What the machine held up a thread that only waits meanwhile does not count.
        """
        arrivals = [request.at for request in self.of("beat")]
        gaps = (b - a - self._pace.held_up_s(a, b) for a, b in itertools.pairwise(arrivals))
        return max(gaps) - interval_s
