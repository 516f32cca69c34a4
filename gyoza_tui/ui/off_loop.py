"""Calls that may wait for a disk, an engine or the server, beside the event loop.

Not in asyncio's pool: its six threads are joined at the end of the app, and six calls that hang would freeze whatever
else wants one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final, TypeAlias, TypeVar

_T = TypeVar("_T")
_Calls: TypeAlias = "SimpleQueue[Callable[[], object]]"

_idle: Final[list[_Calls]] = []
"""Of threads that wait for a call. There are never more than there were calls at once."""


async def aside(call: Callable[[], _T]) -> _T:
    """`call()` in a daemon thread that does nothing else. Cancelling waits for nothing: its result is then dropped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()
    calls = _thread()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as raised:
            error = raised
        _idle.append(calls)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    calls.put(work)
    return await future


def _thread() -> _Calls:
    """The calls of a thread that has none: to make one costs more than most calls."""
    try:
        return _idle.pop()
    except IndexError:
        calls: _Calls = SimpleQueue()
        threading.Thread(target=_serve, args=(calls,), name="aside", daemon=True).start()
        return calls


def _serve(calls: _Calls) -> None:
    while True:
        calls.get()()
