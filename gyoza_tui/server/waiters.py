"""Requests that wait for a change: a commit wakes them, nothing is polled."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)


class Waiters(Generic[_K]):
    """What waits, by the keys of what it waits for. Woken from any thread."""

    def __init__(self) -> None:
        self._waiting: defaultdict[_K, set[asyncio.Future[_K | None]]] = defaultdict(set)
        self._lock = threading.Lock()
        self.stopping = False

    def wait(self, keys: Iterable[_K]) -> asyncio.Future[_K | None]:
        """Has the first of these keys that is woken as its result; None when the server stops."""
        future: asyncio.Future[_K | None] = asyncio.get_running_loop().create_future()
        with self._lock:
            for key in keys:
                self._waiting[key].add(future)
        return future

    def forget(self, keys: Iterable[_K], future: asyncio.Future[_K | None]) -> None:
        with self._lock:
            for key in keys:
                self._waiting[key].discard(future)
                if not self._waiting[key]:
                    del self._waiting[key]

    def wake(self, key: _K) -> bool:
        """Whether anything waited for it."""
        with self._lock:
            futures = list(self._waiting.get(key, ()))
        for future in futures:
            future.get_loop().call_soon_threadsafe(_done, future, key)
        return bool(futures)

    def stop(self) -> None:
        """Wake all; who is about to wait looks at `stopping`."""
        self.stopping = True
        with self._lock:
            futures = set[asyncio.Future[_K | None]]().union(*self._waiting.values())
        for future in futures:
            future.get_loop().call_soon_threadsafe(_done, future, None)


def _done(future: asyncio.Future[_K | None], key: _K | None) -> None:
    if not future.done():
        future.set_result(key)
