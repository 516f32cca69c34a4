"""The sockets on which ops create runs and wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from gyoza_tui.backends.base import Backend
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.runs import Ended, EndedRun
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.op_channel import address
from gyoza_tui.worker.op_channel.attempt_channel import AttemptChannel, Surroundings
from gyoza_tui.worker.op_channel.loop import Loop
from gyoza_tui.worker.op_channel.rights import right_of
from gyoza_tui.worker.op_channel.server_requests import ServerRequests
from gyoza_tui.worker.op_channel.waits import WaitingRuns
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.state_dir.state_dir import StateDir

SOCKET: Final = "GYOZA_SOCKET"
NO_SOCKET: Final = "GYOZA_NO_SOCKET"
"""Why a run that may create runs has no socket, in words."""


class OpChannel:
    """Thread-safe. Costs nothing until the first run that may create others."""

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        client: GyozaClient,
        link: ServerLink,
        state_dir: StateDir,
        waiting_runs: WaitingRuns,
        allowed: MaySubmit,
        wake: threading.Event,
    ) -> None:
        """`allowed`: what the owner of this machine lets any run create. `wake` is set when what is waited for has
        changed."""
        self._notices = notices
        self._state_dir = state_dir
        self._allowed = allowed
        self._wake = wake
        self._loop = Loop(clock, notices)
        self._requests = ServerRequests(clock, notices, client, link)
        self._around = Surroundings(
            clock, self._loop, self._requests, waiting_runs, self._say_that_slot_is_kept, self._publish
        )
        self._channels: dict[int, AttemptChannel] = {}
        """In the loop's thread alone."""
        self._open: set[int] = set()
        """Attempts that have one, for the threads of their runs."""
        self._deaf: set[int] = set()
        """Attempts for which no socket could be had."""
        self._cursors: dict[str, dict[str, int]] = {}
        self._said_of: set[str] = set()
        """Servers of which it was said that they do not report ends."""

    def open(self, row: RunRow, run_dir: Path, op_dir: str, backend: Backend) -> Mapping[str, str]:
        """Listen for the op of the attempt; the variables that it finds.

        Once more after a restart of the worker: an op that runs may wait, whatever it may create by now. Not when the
        pipeline alone is run once more, which would hang up on it.
        """
        right = right_of(row.run, backend, self._allowed)
        may_wait = row.start_asked and row.run.may_submit is not MaySubmit.NO
        if right.may is MaySubmit.NO and not may_wait:
            return {NO_SOCKET: f"this run may create no runs: {right.cap}"} if right.cap else {}
        found = {SOCKET: f"{op_dir}/{address.NAME}"}
        if row.create_asked and row.key in self._open:
            return found
        channel = AttemptChannel(row, right, self._around)
        try:
            self._requests.begin()
            listener = address.listen(run_dir, self._state_dir.socket_of(row.name))
            self._loop.call(partial(self._serve, channel, lambda: channel.serve(listener)))
        except (OSError, RuntimeError) as error:
            words = f"there is no socket for its op: {error}"
            if row.key not in self._deaf:
                self._notices.say(f"{row.run_id}: {words}", "warning", run=row.run_id)
            self._deaf.add(row.key)
            return {NO_SOCKET: words}
        self._open.add(row.key)
        self._deaf.discard(row.key)
        return found

    def close(self, key: int) -> None:
        """The attempt has ended."""
        self._open.discard(key)
        self._deaf.discard(key)
        self._loop.call(partial(self._close, key))

    def stop(self) -> None:
        """Hang up on every op: it connects again to the next start of this worker."""
        self._requests.stop()
        self._loop.stop()

    def waited_for(self, server_id: str) -> Mapping[str, int]:
        """The runs of a server that have waited, and of each the cursor of its children's ends.

        One that does not wait now may wait again at any moment, and a request that is open is not changed by that.
        """
        return self._cursors.get(server_id, {})

    def take_ends(self, server_id: str, ended: Ended) -> None:
        self._loop.call(partial(self._spread, server_id, ended))

    def pending(self, server_id: str, then: Callable[[Mapping[str, frozenset[str]]], None]) -> None:
        """`then` gets the children that are waited for, by the run that waits; in another thread."""
        self._loop.call(lambda: then(self._pending(server_id)))

    def _serve(self, channel: AttemptChannel, serve: Callable[[], None]) -> None:
        self._close(channel.row.key)
        self._channels[channel.row.key] = channel
        serve()

    def _close(self, key: int) -> None:
        if channel := self._channels.pop(key, None):
            channel.close()
            self._publish()

    def _spread(self, server_id: str, ended: Ended) -> None:
        of_parent: dict[str | None, list[EndedRun]] = {}
        for run in ended.runs:
            of_parent.setdefault(run.parent_id, []).append(run)
        for channel in list(self._channels.values()):
            row = channel.row
            if row.server_id == server_id and row.run_id in (of_parent.keys() | ended.parents.keys()):
                channel.take_ends(of_parent.get(row.run_id, ()), ended.parents.get(row.run_id, 0))

    def _pending(self, server_id: str) -> dict[str, frozenset[str]]:
        channels = [each for each in self._channels.values() if each.row.server_id == server_id and each.waits]
        return {channel.row.run_id: channel.pending() for channel in channels}

    def _publish(self) -> None:
        cursors: dict[str, dict[str, int]] = {}
        for channel in self._channels.values():
            if channel.has_waited:
                cursors.setdefault(channel.row.server_id, {})[channel.row.run_id] = channel.cursor
        news = {server: runs.keys() for server, runs in cursors.items()} != {
            server: runs.keys() for server, runs in self._cursors.items()
        }
        self._cursors = cursors
        if news:
            self._wake.set()

    def _say_that_slot_is_kept(self, row: RunRow) -> None:
        if row.server_id not in self._said_of:
            self._said_of.add(row.server_id)
            words = "runs that wait for their children keep their slots: the server does not report the ends of runs"
            self._notices.say(words, "warning", run=row.run_id)
