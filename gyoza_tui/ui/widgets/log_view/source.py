"""Where a log view has its lines from."""

from __future__ import annotations

from typing import Protocol

from gyoza_tui.worker.view.control import LogHits, LogPage, LogQuery


class LogReader(Protocol):
    """One log. Every method blocks, and raises ControlError or KeyError when the log cannot be had."""

    def lines(self, start: int, count: int) -> LogPage: ...

    def search(self, query: LogQuery, line: int, *, backwards: bool = False) -> LogHits: ...
