"""The FastAPI application: routes, errors in words, and what starts and stops with it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import DatabaseError
from starlette.exceptions import HTTPException

from gyoza_tui import __version__
from gyoza_tui.models.clock import Clock, SystemClock
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.server import placing, roles
from gyoza_tui.server.database import Database
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.keys import Keys
from gyoza_tui.server.limits import Door
from gyoza_tui.server.origins import OwnPagesOnly
from gyoza_tui.server.routes import definitions, ended, health, runs, topics, workers
from gyoza_tui.server.shared_state import SharedState, Timings
from gyoza_tui.server.timers import Timers

_LOG = logging.getLogger(__name__)

_ABOUT = """The single source of truth of a gyoza cluster: op definitions, runs and their timelines, workers.

Every request carries the header `X-API-Key` when the server has a key; what it may do depends on the role of that
key. Every refusal is
`{"detail": words, "code": one word}`. Lists are bare arrays; the header `X-Next-Cursor` says where the next page
begins.
"""


def create_app(
    database: Database,
    *,
    keys: Keys | None = None,
    own_key: Path | None = None,
    timings: Timings | None = None,
    clock: Clock | None = None,
    ticking: bool = True,
) -> FastAPI:
    """The application on an open database, which it closes at its end. `ticking=False`: a test turns the clock.

    `own_key`: the file of the admin key, if the server made it; a refusal names it.
    """
    shared = SharedState(database, clock or SystemClock(), timings or Timings())
    timers = Timers(shared)
    database.before_commit = lambda tx: placing.give_out(shared, tx)
    database.after_failure = shared.reload

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        database.start()
        if ticking:
            timers.start()
        yield
        await timers.stop()
        shared.close()

    app = FastAPI(
        title="gyoza server",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    keyed = (definitions.router, runs.router, ended.router, topics.router, workers.router)
    app.state.shared, app.state.timers = shared, timers
    app.state.routes = [
        route for router in (health.router, *keyed) for route in router.routes if isinstance(route, APIRoute)
    ]
    app.include_router(health.router)
    for router in keyed:
        app.include_router(router, dependencies=[Depends(roles.check_route)])
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DatabaseError, _database)
    keys = keys or Keys({})
    if not keys:
        app.add_middleware(OwnPagesOnly)
    app.add_middleware(Door, keys=keys, own_key=own_key, server_id=database.server_id, answered=shared.requests)
    return app


def _answer(status: int, detail: str, code: str | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail, "code": code}, status_code=status)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return _answer(error.status, error.detail, error.code)


async def _not_valid(_request: Request, error: Exception) -> JSONResponse:
    """All faults at once, without what was sent: it may be a secret."""
    assert isinstance(error, RequestValidationError)
    faults = [_fault(one) for one in error.errors()]
    return _answer(422, "; ".join(faults), ErrorCode.INVALID)


def _fault(one: dict[str, Any]) -> str:
    where = ".".join(str(part)[:80] for part in one["loc"] if part != "body")
    return f"{where}: {one['msg']}" if where else str(one["msg"])


async def _http(request: Request, error: Exception) -> JSONResponse:
    """No code of ours: a path that is not there is no answer about a run."""
    assert isinstance(error, HTTPException)
    reply = _answer(error.status_code, str(error.detail))
    reply.headers.update(error.headers or {})
    if error.status_code == 405 and (methods := _methods(request)):
        reply.headers["Allow"] = ", ".join(methods)
    return reply


def _methods(request: Request) -> list[str]:
    """Of all routes of that path; Starlette names those of the first only. None of a page of the documentation."""
    routes: list[APIRoute] = request.app.state.routes
    path = next((route.path for route in routes if route.path_regex.fullmatch(request.url.path)), None)
    return sorted({method for route in routes if route.path == path for method in route.methods or ()})


async def _database(_request: Request, error: Exception) -> JSONResponse:
    _LOG.error("the database failed", exc_info=error)
    return _answer(503, "the server's database does not answer now", ErrorCode.BUSY)
