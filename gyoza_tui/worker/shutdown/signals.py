"""The signals that ask a worker to end."""

from __future__ import annotations

import queue
import signal
from typing import Any


class Signals:
    """Handlers that only put a word into a queue: no lock, no logging, right from the first moment.

    The main thread runs them, whoever else has it; another thread may read the queue.
    """

    def __init__(self) -> None:
        self._words: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._replaced: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """In the main thread; again after anything that set handlers of its own, as a screen does."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._replaced.setdefault(number, signal.getsignal(number))
            signal.signal(number, lambda received, _frame: self._words.put(received))
        self._replaced.setdefault(signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        signal.signal(signal.SIGHUP, lambda _received, _frame: None)

    def restore(self) -> None:
        """In the main thread: the handlers that were there before, for a program that goes on without the worker."""
        while self._replaced:
            number, handler = self._replaced.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def next(self, timeout_s: float) -> int | None:
        """The next signal, waited for at most `timeout_s`."""
        try:
            return self._words.get(timeout=timeout_s)
        except queue.Empty:
            return None
