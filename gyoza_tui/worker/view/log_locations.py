"""Where the logs of attempts are, and which values in them are shown to nobody."""

from __future__ import annotations

from gyoza_tui.worker.journal.look import secrets_of
from gyoza_tui.worker.state_dir.state_dir import StateDir
from gyoza_tui.worker.view.run_inquiry import RunInquiry
from gyoza_tui.worker.view.run_logs import LogLocation


class LogLocations:
    def __init__(self, state_dir: StateDir, inquiry: RunInquiry) -> None:
        self._state_dir = state_dir
        self._inquiry = inquiry

    def of(self, key: int) -> LogLocation:
        """KeyError for an attempt that is not known."""
        row = self._inquiry.row(key)
        values = secrets_of(self._state_dir.journal.absolute(), row.run_id) or ()
        return LogLocation(self._state_dir.log_of(row.name), {*values, *row.run.secret_env.values()})
