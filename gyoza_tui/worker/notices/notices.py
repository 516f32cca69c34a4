"""What happens at this worker, told once to whoever listens: the printer of --no-ui, a view, a test."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.op_output.redaction import redacted

KEPT: Final = 1000

Level: TypeAlias = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One message of the worker."""

    at: datetime
    level: Level
    text: str
    """A whole message to a person."""
    fields: dict[str, Any] = field(default_factory=dict)
    """The same as data: run, op, state, …"""


class Notices:
    """Thread-safe. Listeners must not block: they put the notice into a queue."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[Notice] = deque(maxlen=KEPT)
        self._listeners: list[Callable[[Notice], None]] = []
        self._secrets: Callable[[], Iterable[str]] = tuple

    def hide(self, secrets: Callable[[], Iterable[str]]) -> None:
        """Take these values out of whatever is said from here on."""
        self._secrets = secrets

    def listen(self, listener: Callable[[Notice], None]) -> None:
        with self._lock:
            self._listeners.append(listener)

    def say(self, text: str, level: Level = "info", **fields: Any) -> None:
        if secrets := tuple(self._secrets()):
            text = redacted(text, secrets)
            fields = {name: redacted(v, secrets) if isinstance(v, str) else v for name, v in fields.items()}
        notice = Notice(self._clock.utc(), level, text, fields)
        with self._lock:
            self._kept.append(notice)
            listeners = list(self._listeners)
        for listener in listeners:
            listener(notice)

    def recent(self) -> tuple[Notice, ...]:
        with self._lock:
            return tuple(self._kept)
