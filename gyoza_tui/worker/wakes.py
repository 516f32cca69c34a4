"""How one part of the worker wakes another."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wakes:
    """An event per duty that others wake; setting one is all that they may do to it."""

    beat: threading.Event = field(default_factory=threading.Event)
    claim: threading.Event = field(default_factory=threading.Event)
    deliver: threading.Event = field(default_factory=threading.Event)
    reconcile: threading.Event = field(default_factory=threading.Event)
    children: threading.Event = field(default_factory=threading.Event)
