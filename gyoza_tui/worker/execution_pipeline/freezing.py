"""Freezing and thawing one container, as its row says. Its run's thread does it, which is the one that stops it too."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from gyoza_tui.backends.base import AttemptElsewhere, BackendError, Handle
from gyoza_tui.worker.execution_pipeline.log_pump import LogPump
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.journal import frozen_time
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.retry_notice import RetryNotice


class Freezing:
    def __init__(self, services: Services, pump: LogPump, handle: Handle) -> None:
        self._services = services
        self._pump = pump
        self._handle = handle
        self._backoff = services.backoff()

    def act(self) -> float:
        """Do what is wanted and not done; the seconds until it is tried again, endless when nothing is left to do.

        Raises AttemptElsewhere.
        """
        row = self._services.record.row
        to_freeze = bool(row.freeze_by) and row.frozen_since is None and not row.timed_out
        if not (row.thaw_asked or to_freeze):
            self._forget_trouble()
            return math.inf
        if (pause := self._backoff.remaining_s) > 0:
            return pause
        try:
            self._thaw(row) if row.thaw_asked else self._freeze(row)
        except AttemptElsewhere:
            raise
        except BackendError as error:
            return self._failed("thaw" if row.thaw_asked else "freeze", error)
        self._forget_trouble()
        return math.inf

    def _freeze(self, row: RunRow) -> None:
        self._services.backend.freeze(self._handle)
        now = self._now()
        self._services.record.update(frozen_since=now.timestamp())
        self._pump.note(f"{now:%H:%M:%S} UTC: frozen by {row.freeze_by}")

    def _thaw(self, row: RunRow) -> None:
        self._services.backend.thaw(self._handle)
        now = self._now()
        self._services.record.update(**frozen_time.thawed(row, now.timestamp()))
        self._pump.note(f"{now:%H:%M:%S} UTC: thawed")
        self._services.on_thaw()

    def _failed(self, what: str, error: BackendError) -> float:
        if self._backoff.failures == 0:
            self._services.warn(f"{what}: {error}; trying again until it is done")
        pause = self._backoff.fail()
        self._services.again = RetryNotice(f"{what}: {error}", self._now().timestamp() + pause)
        return pause

    def _forget_trouble(self) -> None:
        if self._backoff.failures:
            self._backoff.succeed()
            self._services.again = None

    def _now(self) -> datetime:
        return self._services.clock.utc().astimezone(UTC)
