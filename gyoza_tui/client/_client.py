"""A synchronous, thread-safe client of a gyoza server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ALL_COMPLETED
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import httpx
from pydantic import SecretStr

from gyoza_tui.client import endpoints, ends
from gyoza_tui.client.answers import UNSIGNED, NotOurAnswer
from gyoza_tui.client.endpoints import Endpoint
from gyoza_tui.client.ends import Waited
from gyoza_tui.client.replies import capped, parsed, read_as
from gyoza_tui.models.definitions import OpDefinition
from gyoza_tui.models.faults import SettingsError
from gyoza_tui.models.runs import (
    DEFAULT_PRIORITY,
    DefinitionRunRequest,
    Ended,
    EndedRequest,
    EventReport,
    EventsAccepted,
    OpRun,
    RunPatch,
    RunRequest,
)
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.models.wire import Wire
from gyoza_tui.models.workers import (
    ClaimRequest,
    Health,
    HeartbeatReply,
    HeartbeatRequest,
    Wanted,
    WantedRequest,
    WantedWorkerState,
    WorkerView,
)

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from gyoza_tui.own_server import OwnServer

_T = TypeVar("_T")

CONNECT_TIMEOUT_S = 5.0
_KEEP_IDLE_S = 4.0
"""Shorter than servers keep an idle connection (uvicorn: 5 s), else a beat is lost now and then to a closed one."""


class Page(NamedTuple):
    """A list's page and where the next begins; `cursor` is None at the end."""

    items: list[Any]
    cursor: str | None


class Claimed(NamedTuple):
    runs: list[OpRun]
    server_id: str | None
    """`X-Server-Id` of the answer: whose runs these are."""


class GyozaClient:
    """Speaks to one server. May be shared between threads.

    Every method raises `httpx.HTTPStatusError` for a refusal (as the reference does), another `httpx.HTTPError` when
    there is no answer, and `NotOurAnswer` (one of them) for a reply that no gyoza server gives. Nothing is retried:
    that is for whoever calls. The key is in no repr and in no error's text.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        timeout: float = 30.0,
        *,
        own_server: Callable[[], OwnServer | None] | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """`ca_file`: certificates that are trusted in addition to the system's.

        `own_server`: asked before each request for the server of this user that `base_url` means, and for its key.

        What it finds is where the request goes: the address, unlike `localhost`, is certainly that server's.
        """
        self.base_url = base_url.rstrip("/")
        self._own_server = own_server
        self._ca_file = ca_file
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT_S))
        self._api_key = SecretStr(api_key or "")
        self._opening = threading.Lock()
        self._opened: httpx.Client | None = None
        self._server_id: str | None = None
        """Of a server whose last answer to a heartbeat had `protocol`: it signs each of its answers with it."""

    def change_key(self, api_key: str | None) -> bool:
        """Whether it was another one; from now on requests go with this one."""
        before, self._api_key = self._api_key, SecretStr(api_key or "")
        return before != self._api_key

    def __repr__(self) -> str:
        return f"GyozaClient({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def open(self) -> None:
        """Load what requests need. The first one would do that too: for who measures how long the server takes."""
        self._http()

    def close(self) -> None:
        """Its connections; another request opens it again."""
        with self._opening:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    # Definitions

    def upsert_definition(self, definition: OpDefinition) -> OpDefinition:
        """Create or replace that (id, version)."""
        return self._send(endpoints.UPSERT_DEFINITION, definition)

    def get_definition(self, name: str, version: str | None = None) -> OpDefinition:
        """The definition of that version, or the one upserted last."""
        return self._send(endpoints.GET_DEFINITION, None, query={"version": version}, parts={"name": name})

    def list_definitions(self) -> list[OpDefinition]:
        """All versions of all definitions."""
        return self._send(endpoints.LIST_DEFINITIONS, None)

    # Runs

    def create_run(
        self,
        image: str,
        inputs: dict[str, Any] | None = None,
        *,
        priority: int = DEFAULT_PRIORITY,
        **more: Any,
    ) -> OpRun:
        """An ad hoc run; `more` are the other fields of `RunRequest`. With an `id` of yours a repeat is harmless."""
        request = RunRequest(image=image, inputs=inputs or {}, priority=priority, **more)
        return self._send(endpoints.CREATE_RUN, request)

    def create_run_from_definition(
        self,
        name: str,
        inputs: dict[str, Any],
        *,
        version: str | None = None,
        priority: int = DEFAULT_PRIORITY,
        id: str | None = None,  # noqa: A002 - the wire's name
        **more: Any,
    ) -> OpRun:
        """`more` are the other fields of `DefinitionRunRequest`."""
        request = DefinitionRunRequest(id=id, inputs=inputs, priority=priority, version=version, **more)
        return self._send(endpoints.CREATE_RUN_FROM_DEFINITION, request, parts={"name": name})

    def get_run(self, run_id: str, *, events: bool = True, timeout_s: float | None = None) -> OpRun:
        query = {} if events else {"events": "0"}
        return self._send(endpoints.GET_RUN, None, query=query, parts={"run_id": run_id}, timeout_s=timeout_s)

    def list_runs(
        self,
        *,
        state: RunState | None = None,
        topic: str | None = None,
        worker_id: str | None = None,
        definition: str | None = None,
        parent: str | None = None,
        since: str | None = None,
        filter: str | None = None,  # noqa: A002 - the wire's name
        limit: int | None = None,
        after: str | None = None,
    ) -> Page:
        """Newest first; `items` are OpRuns. `filter` is text for `models.filters`, which another server may ignore.

        The list ends where no cursor comes: a page may be empty.
        """
        query = {
            "state": state,
            "topic": topic,
            "worker_id": worker_id,
            "definition": definition,
            "parent": parent,
            "since": since,
            "filter": filter,
            "limit": limit,
            "after": after,
        }
        return self._page(endpoints.LIST_RUNS, query, {})

    def update_run(
        self,
        run_id: str,
        *,
        state: RunState | str | None = None,
        outputs: dict[str, Any] | None = None,
        priority: int | None = None,
        timeout_s: float | None = None,
        **more: Any,
    ) -> OpRun:
        """Change state, outputs or priority; `more` are the fields of `RunPatch` that a worker adds.

        The run as it is then: asked for where the answer to the change is not a run.
        """
        patch = RunPatch.model_validate({"state": state, "outputs": outputs, "priority": priority} | more)
        changed = self._exchange(endpoints.UPDATE_RUN, patch, {}, {"run_id": run_id}, timeout_s)
        return read_as(OpRun, changed) or self.get_run(run_id, events=False, timeout_s=timeout_s)

    def patch_run(self, run_id: str, patch: RunPatch) -> None:
        """The same change for a caller that needs nothing of the answer."""
        self._exchange(endpoints.UPDATE_RUN, patch, {}, {"run_id": run_id}, None)

    def add_event(
        self,
        run_id: str,
        event_type: EventType | str,
        msg: str | float | None,
        payload: dict[str, Any] | None = None,
        **more: Any,
    ) -> EventsAccepted:
        """One event; `more` are the fields of `EventReport` that fence it."""
        report = EventReport.model_validate({"type": event_type, "msg": msg, "payload": payload} | more)
        return self._report(run_id, report)

    def add_events(self, run_id: str, reports: list[EventReport]) -> EventsAccepted:
        """Several events of one attempt in one transaction; only for a server with `protocol`."""
        return self._report(run_id, [report.model_dump(mode="json", exclude_none=True) for report in reports])

    def _report(self, run_id: str, body: Any) -> EventsAccepted:
        answer = self._exchange(endpoints.ADD_EVENT, body, {}, {"run_id": run_id}, None)
        return read_as(EventsAccepted, answer) or EventsAccepted()

    def ended(self, request: EndedRequest) -> Ended:
        """The runs that have ended of those that the request is about; waits up to `request.wait_s` for a first one."""
        return self._send(endpoints.ENDED, request, timeout_s=(self._timeout.read or 30.0) + request.wait_s)

    def wait(self, run_ids: Iterable[str], timeout_s: float | None = None, return_when: str = ALL_COMPLETED) -> Waited:
        """Wait for the ends of runs, as `concurrent.futures.wait` does; what is not COMPLETED counts as an exception.

        At a server that does not report ends each run is looked at, up to every 2 s.
        """
        return ends.wait(self, run_ids, timeout_s, return_when)

    def topic_events(self, topic: str, *, after: str | None = None, wait_s: float = 0) -> Page:
        """A page of the topic's feed behind the cursor `after`; `items` are TopicEvents."""
        query = {"after": after, "wait_s": wait_s}
        return self._page(endpoints.TOPIC_EVENTS, query, {"topic": topic}, extra_s=wait_s)

    # Workers

    def heartbeat(self, **payload: Any) -> HeartbeatReply:
        """Register or refresh a worker; `payload` is that of `WorkerContext.to_heartbeat_payload` and ours."""
        return self.beat(HeartbeatRequest.model_validate(payload))

    def beat(self, request: HeartbeatRequest, timeout_s: float | None = None) -> HeartbeatReply:
        answer = self._exchange(endpoints.HEARTBEAT, request, {}, {}, timeout_s)
        reply = read_as(HeartbeatReply, answer)
        if reply is None:
            said = parsed(object, answer)
            if isinstance(said, dict) and "protocol" in said:
                raise NotOurAnswer("not a gyoza server's answer to a heartbeat", request=answer.request)
            reply = HeartbeatReply()
        server_id = reply.server_id or answer.headers.get(endpoints.SERVER_ID_HEADER)
        self._server_id = server_id if reply.protocol is not None else None
        return reply.model_copy(update={"server_id": server_id})

    def claim(self, worker_id: str, request: ClaimRequest) -> Claimed:
        """Wait up to `request.wait_s` for runs assigned to this worker."""
        timeout_s = (self._timeout.read or 30.0) + request.wait_s
        reply = self._exchange(endpoints.CLAIM, request, {}, {"worker_id": worker_id}, timeout_s)
        return Claimed(parsed(endpoints.CLAIM.answer, reply), reply.headers.get(endpoints.SERVER_ID_HEADER))

    def list_workers(self) -> list[WorkerView]:
        return self._send(endpoints.LIST_WORKERS, None)

    def get_worker(self, worker_id: str) -> WorkerView:
        return self._send(endpoints.GET_WORKER, None, parts={"worker_id": worker_id})

    def want_state(self, worker_id: str, state: WantedWorkerState, by: str | None = None) -> Wanted:
        """Have the worker pause, drain or claim again; it hears of it at once where it is connected."""
        request = WantedRequest(wanted=state, by=by)
        return self._send(endpoints.WANT_STATE, request, parts={"worker_id": worker_id})

    def delete_worker(self, worker_id: str, instance_id: str | None = None, timeout_s: float | None = None) -> None:
        """A clean good-bye of that instance: its runs go back at once."""
        query = {"instance_id": instance_id}
        self._exchange(endpoints.DELETE_WORKER, None, query, {"worker_id": worker_id}, timeout_s)

    def health(self) -> Health:
        return self._send(endpoints.HEALTH, None)

    # One way for every request

    def _send(
        self,
        endpoint: Endpoint[_T],
        body: Any,
        *,
        query: dict[str, Any] | None = None,
        parts: dict[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> _T:
        found: _T = parsed(endpoint.answer, self._exchange(endpoint, body, query or {}, parts or {}, timeout_s))
        return found

    def _page(
        self, endpoint: Endpoint[list[_T]], query: dict[str, Any], parts: dict[str, str], extra_s: float = 0
    ) -> Page:
        timeout_s = (self._timeout.read or 30.0) + extra_s
        reply = self._exchange(endpoint, None, query, parts, timeout_s)
        return Page(parsed(endpoint.answer, reply), reply.headers.get(endpoints.CURSOR_HEADER) or None)

    def _http(self) -> httpx.Client:
        """Made at the first request: a screen need not wait until its transport is loaded."""
        with self._opening:
            if self._opened is None:
                self._opened = httpx.Client(
                    headers={"Accept-Encoding": "identity", "Accept": "application/json"},
                    timeout=self._timeout,
                    follow_redirects=False,
                    trust_env=False,
                    verify=self._trusted(),
                    limits=httpx.Limits(
                        max_connections=None, max_keepalive_connections=16, keepalive_expiry=_KEEP_IDLE_S
                    ),
                )
            return self._opened

    def _trusted(self) -> ssl.SSLContext | bool:
        """Without TLS the certificates are not worth their time."""
        if not self.base_url.startswith("https:"):
            return False
        from gyoza_tui.client import tls

        return tls.trusted(self._ca_file)

    def _target(self) -> tuple[str, str]:
        """Where the next request goes, and with which key."""
        if self._own_server is None or self._api_key:
            return self.base_url, self._api_key.get_secret_value()
        try:
            own = self._own_server()
        except SettingsError as error:
            raise httpx.RequestError(str(error)) from None
        return (self.base_url, "") if own is None else (own.url, own.key)

    def _exchange(
        self, endpoint: Endpoint[_T], body: Any, query: dict[str, Any], parts: dict[str, str], timeout_s: float | None
    ) -> httpx.Response:
        """A 2xx answer of the server."""
        ask = partial(self._ask, endpoint, body, query, parts, timeout_s)
        base_url, key = self._target()
        try:
            return ask(base_url, key)
        except httpx.HTTPStatusError as error:
            if key or error.response.status_code != 401:
                raise
            # a server of this user listens before it is announced: what was sent in between had no key
            base_url, key = self._target()
            if not key:
                raise
        return ask(base_url, key)

    def _ask(
        self,
        endpoint: Endpoint[_T],
        body: Any,
        query: dict[str, Any],
        parts: dict[str, str],
        timeout_s: float | None,
        base_url: str,
        key: str,
    ) -> httpx.Response:
        timeout = self._timeout
        if timeout_s is not None:
            timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
        http = self._http()
        request = http.build_request(
            endpoint.method,
            base_url + endpoint.url(**parts),
            headers={endpoints.API_KEY_HEADER: key} if key else None,
            params={name: value for name, value in query.items() if value is not None},
            json=body.model_dump(mode="json", exclude_none=True) if isinstance(body, Wire) else body,
            timeout=timeout,
        )
        reply = http.send(request, stream=True)
        try:
            content = capped(reply, timeout.read or 30.0)
        finally:
            reply.close()
        reply = httpx.Response(reply.status_code, headers=reply.headers, content=content, request=request)
        if self._server_id is not None and endpoints.SERVER_ID_HEADER not in reply.headers:
            reply.extensions[UNSIGNED] = True
        if reply.is_redirect:
            raise NotOurAnswer("redirected: GYOZA_SERVER_URL must name the server itself", request=request)
        reply.raise_for_status()
        self._check_sender(endpoint, reply)
        if endpoint.answer is object and (content or endpoint.method != "DELETE"):
            parsed(object, reply)
        return reply

    def _check_sender(self, endpoint: Endpoint[_T], reply: httpx.Response) -> None:
        """Raise NotOurAnswer for what another program answers in the server's place, as a proxy does."""
        if reply.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise NotOurAnswer("not a gyoza server's answer (HTML)", request=reply.request)
        if self._server_id is None or endpoint is endpoints.HEARTBEAT:
            return
        if UNSIGNED in reply.extensions:
            words = (
                f"not the server's answer: it lacks {endpoints.SERVER_ID_HEADER}. Does a proxy answer, or remove it?"
            )
            raise NotOurAnswer(words, request=reply.request)
        another = reply.headers[endpoints.SERVER_ID_HEADER] != self._server_id
        if another and endpoint is not endpoints.CLAIM:  # its runs are kept as that server's
            raise NotOurAnswer("another server answered than the one that took the heartbeat", request=reply.request)
