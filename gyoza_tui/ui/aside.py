"""Calls that may wait for a disk, an engine or the server, beside the event loop.

Not in asyncio's pool: its six threads are joined at the end of the app, and six calls that hang would freeze whatever
else wants one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


async def aside(call: Callable[[], _T]) -> _T:
    """`call()` in a daemon thread of its own. Cancelling waits for nothing: the call's result is then dropped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

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
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="aside", daemon=True).start()
    return await future
