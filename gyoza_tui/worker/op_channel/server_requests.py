"""What ops ask of the server: one thread, which repeats each request until the server has answered it."""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import CODES, Meaning, detail, error_code, meaning, retry_after_s, words
from gyoza_tui.client.endpoints import Endpoint
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.worker.backoff import Backoff
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.op_channel.messages import Refusal
from gyoza_tui.worker.server_link import ServerLink

_IDLE_S: Final = 30.0
_LOOK_S: Final = 1.0
"""How often it is looked whether the lease holds again."""
_OF_OUR_KEY: Final = frozenset({ErrorCode.UNAUTHORIZED, ErrorCode.ORIGIN})
"""Refusals of this worker, which end when its key is changed."""
_LATER: Final = frozenset({408, 425, 429})


@dataclass(eq=False)
class Request:
    """One, for one attempt."""

    key: int
    server_id: str
    endpoint: Endpoint[Any]
    ask: Callable[[GyozaClient], Any]
    """Raises Refusal for what the op is not to have."""
    done: Callable[[Any], None]
    """Gets what `ask` returned, or the Refusal; called in the thread of the requests."""
    is_wanted: Callable[[], bool]
    backoff: Backoff


class ServerRequests:
    """Of all attempts, in turn."""

    def __init__(self, clock: Clock, notices: Notices, client: GyozaClient, link: ServerLink) -> None:
        self._clock = clock
        self._notices = notices
        self._client = client
        self._link = link
        self._lock = threading.Lock()
        self._waiting: dict[int, deque[Request]] = {}
        """By attempt; the one whose turn it is comes first."""
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._begun = False
        link.wakes(self._wake)

    def begin(self) -> None:
        """Once. Raises RuntimeError where no thread can be had."""
        with self._lock:
            if not self._begun:
                threading.Thread(target=self._serve, name="op-requests", daemon=True).start()
                self._begun = True

    def put(
        self,
        key: int,
        server_id: str,
        endpoint: Endpoint[Any],
        ask: Callable[[GyozaClient], Any],
        done: Callable[[Any], None],
        is_wanted: Callable[[], bool],
    ) -> None:
        """Have it asked."""
        request = Request(key, server_id, endpoint, ask, done, is_wanted, Backoff(self._clock))
        with self._lock:
            self._waiting.setdefault(key, deque()).append(request)
        self._wake.set()

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            request = self._next()
            if request is None:
                self._clock.wait(self._wake, self._pause_s())
            elif request.is_wanted():
                self._ask(request)

    def _next(self) -> Request | None:
        """The first request that may be sent now, of the attempt whose turn it is; its turn comes last then."""
        with self._lock:
            for key, requests in list(self._waiting.items()):
                found = next(filter(self._may_be_sent, requests), None)
                if found is None:
                    continue
                del self._waiting[key]
                requests.remove(found)
                if requests:
                    self._waiting[key] = requests
                return found
        return None

    def _may_be_sent(self, request: Request) -> bool:
        if not request.is_wanted():
            return True  # and dropped then
        if not self._link.lease_holds or self._link.state.answering != request.server_id:
            return False
        return self._link.wait_s(request.endpoint) == 0 and request.backoff.remaining_s == 0

    def _pause_s(self) -> float:
        with self._lock:
            return _LOOK_S if self._waiting else _IDLE_S

    def _ask(self, request: Request) -> None:
        try:
            found = request.ask(self._client)
        except Refusal as refusal:
            self._link.succeeded(request.endpoint)
            request.done(refusal)
        except httpx.HTTPError as error:
            self._failed(request, error)
        except Exception as error:
            text = f"what an op asked could not be asked: {type(error).__name__}: {error}"
            self._notices.say(text, "error", traceback="".join(traceback.format_exception(error)))
            request.done(Refusal("this worker failed at it: its log says why"))
        else:
            self._link.succeeded(request.endpoint)
            request.done(found)

    def _failed(self, request: Request, error: httpx.HTTPError) -> None:
        if (refusal := _refusal(error)) is not None:
            self._link.succeeded(request.endpoint)
            request.done(refusal)
            return
        if meaning(error) in (Meaning.SERVER_FAULT, Meaning.UNAUTHORIZED):
            self._link.failed(request.endpoint, error)
        request.backoff.fail(retry_after_s(error))
        with self._lock:
            self._waiting.setdefault(request.key, deque()).appendleft(request)


def _refusal(error: httpx.HTTPError) -> Refusal | None:
    """The server's no to what the op asked; None where it is about the server, or about this worker."""
    if not isinstance(error, httpx.HTTPStatusError):
        return None
    status, code = error.response.status_code, error_code(error)
    ours = meaning(error) is Meaning.REFUSED or (code in CODES and code not in _OF_OUR_KEY)
    if not ours or status in _LATER or status >= 500:
        return None
    return Refusal(detail(error) or words(error))
