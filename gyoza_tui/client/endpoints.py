"""Every path of a gyoza server, once. The reference's worker paths are not public, so ours may have to change."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote


class Endpoint(NamedTuple):
    method: str
    path: str
    codes: tuple[int, ...]
    """The status codes by which the endpoint answers a request that is in order."""

    def url(self, **parts: str) -> str:
        """The path with its parts filled in and quoted, so that an id is never more than one path segment."""
        return self.path.format(**{name: _segment(value) for name, value in parts.items()})


def _segment(text: str) -> str:
    quoted = quote(text, safe="", errors="surrogatepass")
    return quoted.replace(".", "%2E") if quoted.strip(".") == "" else quoted  # `..` would name another path


HEALTH: Final = Endpoint("GET", "/health", (200,))

UPSERT_DEFINITION: Final = Endpoint("POST", "/definitions", (200, 201))
LIST_DEFINITIONS: Final = Endpoint("GET", "/definitions", (200,))
GET_DEFINITION: Final = Endpoint("GET", "/definitions/{name}", (200,))
CREATE_RUN_FROM_DEFINITION: Final = Endpoint("POST", "/definitions/{name}/runs", (200, 201))

CREATE_RUN: Final = Endpoint("POST", "/runs", (200, 201))
LIST_RUNS: Final = Endpoint("GET", "/runs", (200,))
GET_RUN: Final = Endpoint("GET", "/runs/{run_id}", (200,))
UPDATE_RUN: Final = Endpoint("PATCH", "/runs/{run_id}", (200,))
ADD_EVENT: Final = Endpoint("POST", "/runs/{run_id}/events", (200, 201))
TOPIC_EVENTS: Final = Endpoint("GET", "/topics/{topic}/events", (200,))

HEARTBEAT: Final = Endpoint("POST", "/workers/heartbeat", (200, 201))
CLAIM: Final = Endpoint("POST", "/workers/{worker_id}/claim", (200,))
LIST_WORKERS: Final = Endpoint("GET", "/workers", (200,))
GET_WORKER: Final = Endpoint("GET", "/workers/{worker_id}", (200,))
DELETE_WORKER: Final = Endpoint("DELETE", "/workers/{worker_id}", (200, 204))

API_KEY_HEADER: Final = "X-API-Key"
SERVER_ID_HEADER: Final = "X-Server-Id"
CURSOR_HEADER: Final = "X-Next-Cursor"
