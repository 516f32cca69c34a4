"""Every path of a gyoza server, once, with the least that we need of its answer.

The reference's worker paths are not public, so ours may have to change.
"""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote

from gyoza_tui.models.definitions import OpDefinition
from gyoza_tui.models.runs import Ended, OpRun, TopicEvent
from gyoza_tui.models.workers import Health, Wanted, WorkerView

_T = TypeVar("_T")


class Endpoint(NamedTuple, Generic[_T]):
    method: str
    path: str
    answer: type[_T]
    """What the JSON of a 2xx answer must be. `object`: of any shape, as nothing of it is needed."""

    def url(self, **parts: str) -> str:
        """The path with its parts filled in and quoted, so that an id is never more than one path segment."""
        return self.path.format(**{name: _segment(value) for name, value in parts.items()})


def _segment(text: str) -> str:
    quoted = quote(text, safe="", errors="surrogatepass")
    return quoted.replace(".", "%2E") if quoted.strip(".") == "" else quoted  # `..` would name another path


HEALTH: Final = Endpoint("GET", "/health", Health)

UPSERT_DEFINITION: Final = Endpoint("POST", "/definitions", OpDefinition)
LIST_DEFINITIONS: Final = Endpoint("GET", "/definitions", list[OpDefinition])
GET_DEFINITION: Final = Endpoint("GET", "/definitions/{name}", OpDefinition)
CREATE_RUN_FROM_DEFINITION: Final = Endpoint("POST", "/definitions/{name}/runs", OpRun)

CREATE_RUN: Final = Endpoint("POST", "/runs", OpRun)
LIST_RUNS: Final = Endpoint("GET", "/runs", list[OpRun])
GET_RUN: Final = Endpoint("GET", "/runs/{run_id}", OpRun)
UPDATE_RUN: Final = Endpoint("PATCH", "/runs/{run_id}", object)
ADD_EVENT: Final = Endpoint("POST", "/runs/{run_id}/events", object)
ENDED: Final = Endpoint("POST", "/ended", Ended)
TOPIC_EVENTS: Final = Endpoint("GET", "/topics/{topic}/events", list[TopicEvent])

HEARTBEAT: Final = Endpoint("POST", "/workers/heartbeat", object)
CLAIM: Final = Endpoint("POST", "/workers/{worker_id}/claim", list[OpRun])
LIST_WORKERS: Final = Endpoint("GET", "/workers", list[WorkerView])
GET_WORKER: Final = Endpoint("GET", "/workers/{worker_id}", WorkerView)
WANT_STATE: Final = Endpoint("PATCH", "/workers/{worker_id}", Wanted)
DELETE_WORKER: Final = Endpoint("DELETE", "/workers/{worker_id}", object)

API_KEY_HEADER: Final = "X-API-Key"
SERVER_ID_HEADER: Final = "X-Server-Id"
CURSOR_HEADER: Final = "X-Next-Cursor"
