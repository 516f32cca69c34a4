"""The channel of one attempt: its socket, what its op asks there, and what is known of its children."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.endpoints import CREATE_RUN, CREATE_RUN_FROM_DEFINITION, ENDED, GET_RUN, UPDATE_RUN, Endpoint
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.nested import Parent
from gyoza_tui.models.runs import EndedRun, OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.op_channel import asks, messages
from gyoza_tui.worker.op_channel.asks import Look
from gyoza_tui.worker.op_channel.budget import Budget
from gyoza_tui.worker.op_channel.child_ids import child_id
from gyoza_tui.worker.op_channel.connection import Connection
from gyoza_tui.worker.op_channel.loop import READ, Loop, Timer
from gyoza_tui.worker.op_channel.messages import Cancel, Error, Hello, Refusal, State, Submit, Wait
from gyoza_tui.worker.op_channel.rights import Right
from gyoza_tui.worker.op_channel.server_requests import ServerRequests
from gyoza_tui.worker.op_channel.waits import WAITS_MAX, OpenWait, WaitingRuns, Waits

CONNECTIONS_MAX: Final = WAITS_MAX
ACCEPT_AGAIN_S: Final = 1.0
"""Before connections are taken again where none can be, as without a free descriptor."""
LOOK_S: Final = 1.0
"""How long a wait without any time is asked about at the server: it is answered with what has ended by then."""
UNANSWERED_S: Final = 2.0
"""After which a wait gives up the slot although the server, which may be away, was not asked yet what has ended."""
BACK_S: Final = 30.0
"""How long an op that waited when the worker ended may take to connect to the next start of it."""


class Surroundings(NamedTuple):
    """What the channels of all attempts share."""

    clock: Clock
    loop: Loop
    requests: ServerRequests
    waiting_runs: WaitingRuns
    keeps_slot: Callable[[RunRow], None]
    """That a wait of it keeps its slot, since its server does not report ends."""
    changed: Callable[[], None]
    """What is waited for has changed."""


class _Wait(NamedTuple):
    """The wait of one connection."""

    open: OpenWait
    timers: tuple[Timer, ...]


class AttemptChannel:
    """In the loop's thread alone, but for what says otherwise."""

    def __init__(self, row: RunRow, right: Right, around: Surroundings) -> None:
        self.row = row
        self._right = right
        self._around = around
        self._loop = around.loop
        self._budget = Budget(around.clock)
        self._parent = Parent(run=row.run_id, attempt=row.attempt, lease=row.lease) if row.lease else None
        self._listener: socket.socket | None = None
        self._connections: set[Connection] = set()
        self._waits = Waits(
            row.key,
            around.waiting_runs,
            around.loop.call,
            around.changed,
            waiting=row.waiting_since is not None,
        )
        self._wait_of: dict[Connection, _Wait] = {}
        self.has_waited = False
        self._known: set[str] = set()
        self._ended: dict[str, RunState] = {}
        self.cursor = 0
        """Of the ends that are known."""

    def serve(self, listener: socket.socket) -> None:
        self._listener = listener
        self._loop.watch(listener, READ, self._accept)
        if self.row.waiting_since is not None:
            self._loop.at(BACK_S, self._look_for_op)

    def close(self) -> None:
        if self._listener is None:
            return
        self._loop.watch(self._listener, 0, self._accept)
        self._listener.close()
        self._listener = None
        self._waits.forget()
        for connection in list(self._connections):
            connection.close()

    @property
    def waits(self) -> bool:
        return self._waits.are_open

    def pending(self) -> frozenset[str]:
        """The children that are waited for."""
        return frozenset(self._waits.pending())

    def take_ends(self, runs: Iterable[EndedRun], cursor: int) -> None:
        """Children that have ended."""
        self.cursor = max(self.cursor, cursor)
        for run in runs:
            self._known.add(run.id)
            self._ended[run.id] = run.state
            self._waits.note(run.id, run.state)
        self._waits.settle()

    def _look_for_op(self) -> None:
        """A wait that the server is still asked about is none yet, and a frozen op cannot connect."""
        if self._wait_of or self._around.waiting_runs.is_frozen(self.row.key):
            self._loop.at(BACK_S, self._look_for_op)
        else:
            self._waits.give_up()

    # Connections

    def _accept(self, _events: int) -> None:
        assert self._listener is not None
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:
            self._rest(ACCEPT_AGAIN_S)
            return
        if pause_s := self._budget.spend(0):
            self._rest(pause_s)
        if len(self._connections) >= CONNECTIONS_MAX:
            _turn_away(sock)
            return
        self._connections.add(Connection(sock, self._loop, self._budget, self._take, self._closed))

    def _rest(self, seconds: float) -> None:
        """Take no connection for that long."""
        if self._listener is not None:
            self._loop.watch(self._listener, 0, self._accept)
            self._loop.at(seconds, self._go_on)

    def _go_on(self) -> None:
        if self._listener is not None:
            self._loop.watch(self._listener, READ, self._accept)

    def _closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if wait := self._wait_of.pop(connection, None):
            _end(wait)
            self._waits.drop(wait.open)

    # Messages

    def _take(self, connection: Connection, line: bytes) -> None:
        try:
            match messages.parse(line):
                case Hello():
                    self._greet(connection)
                case Submit() as submit:
                    self._submit(connection, submit)
                case State() as asked:
                    self._state(connection, asked)
                case Cancel() as asked:
                    self._cancel(connection, asked)
                case Wait() as wait:
                    self._wait(connection, wait)
        except Refusal as refusal:
            connection.answer(messages.refused(str(refusal)))

    def _greet(self, connection: Connection) -> None:
        row = self.row
        connection.answer(
            messages.answer(version=messages.VERSION, run=row.run_id, attempt=row.attempt, may_submit=self._right.may)
        )

    def _submit(self, connection: Connection, submit: Submit) -> None:
        asks.check_right(submit, self._right)
        child = child_id(self.row.run_id, submit)
        endpoint: Endpoint[OpRun] = CREATE_RUN_FROM_DEFINITION if asks.named_definition(submit.what) else CREATE_RUN
        ask = partial(asks.create, submit=submit, child=child, parent=self._parent)
        self._ask(connection, endpoint, ask, partial(self._submitted, connection))

    def _submitted(self, connection: Connection, run: OpRun) -> None:
        self._learn(run)
        connection.answer(messages.answer(id=run.id, state=run.state))

    def _state(self, connection: Connection, asked: State) -> None:
        if asked.result and self._budget.is_full:
            connection.answer(messages.refused("the results before are not read yet", Error.BUSY))
            return
        ask = partial(asks.state, asked=asked, run_id=self.row.run_id, known=asked.child in self._known)
        self._ask(connection, GET_RUN, ask, partial(self._stated, connection, asked))

    def _stated(self, connection: Connection, asked: State, run: OpRun) -> None:
        self._learn(run)
        if asked.result and self._budget.is_full:
            connection.answer(messages.refused("the results before are not read yet", Error.BUSY))
            return
        more = asks.result(run) if asked.result and run.state.terminal else {}
        connection.answer(messages.answer(id=run.id, state=run.state, ended=run.state.terminal, **more))

    def _cancel(self, connection: Connection, asked: Cancel) -> None:
        known = asked.child in self._known
        ask = partial(asks.cancel, child=asked.child, run_id=self.row.run_id, known=known)
        self._ask(connection, UPDATE_RUN, ask, partial(self._stated, connection, State(do="state", child=asked.child)))

    def _learn(self, run: OpRun) -> None:
        """One that has ended may be at work again."""
        self._known.add(run.id)
        if not run.state.terminal:
            self._ended.pop(run.id, None)

    # Waits

    def _wait(self, connection: Connection, asked: Wait) -> None:
        self.has_waited = True
        wait = self._of_before(connection) if asked.children is None else OpenWait(asked.children)
        wait.until, wait.timed_out = asked.until, False
        wait.answer = partial(self._answer_wait, connection, wait)
        timers = [self._loop.at(UNANSWERED_S, partial(self._waits.open, wait))]
        if asked.timeout_s is not None:
            timers.append(self._loop.at(asked.timeout_s or LOOK_S, partial(self._waits.time_is_over, wait)))
        self._wait_of[connection] = _Wait(wait, tuple(timers))
        self._note_known(wait)
        if wait.is_ready:
            self._waits.open(wait)
            return
        named = asked.children or ()
        unknown = [child for child in named if child not in self._known and child in wait.pending]
        ask = partial(asks.look, run_id=self.row.run_id, cursor=self.cursor, unknown=unknown)
        self._ask(connection, ENDED, ask, partial(self._looked, connection, wait, asked.timeout_s == 0))

    def _of_before(self, connection: Connection) -> OpenWait:
        if (before := self._wait_of.get(connection)) is None:
            raise Refusal("there was no wait on this connection that could go on: name the children")
        _end(before)
        return before.open

    def _note_known(self, wait: OpenWait) -> None:
        for child in [each for each in wait.pending if each in self._ended]:
            wait.note(child, self._ended[child])

    def _looked(self, connection: Connection, wait: OpenWait, once: bool, look: Look) -> None:
        self._waits.keeps_slot = not look.reports_ends
        if not look.reports_ends:
            self._around.keeps_slot(self.row)
        self._known.update(look.checked)
        self.take_ends(look.runs, look.cursor)
        self._note_known(wait)
        wait.timed_out = once
        self._waits.open(wait)

    def _answer_wait(self, connection: Connection, wait: OpenWait) -> None:
        _end(self._wait_of[connection])
        connection.answer(messages.answer(ended=wait.take_ended(), left=len(wait.pending)))

    # The server

    def _ask(
        self,
        connection: Connection,
        endpoint: Endpoint[Any],
        ask: Callable[[GyozaClient], Any],
        done: Callable[[Any], None],
    ) -> None:
        """`done` is called in the loop's thread, unless the op is refused, has hung up, or is answered already."""
        row, turn = self.row, connection.turn

        def is_wanted() -> bool:
            return not connection.closed and connection.turn == turn

        def answered(found: Any) -> None:
            self._loop.call(lambda: self._answered(connection, found, done) if is_wanted() else None)

        self._around.requests.put(row.key, row.server_id, endpoint, ask, answered, is_wanted)

    def _answered(self, connection: Connection, found: Any, done: Callable[[Any], None]) -> None:
        if isinstance(found, Refusal):
            if wait := self._wait_of.pop(connection, None):
                _end(wait)
                self._waits.drop(wait.open)
            connection.answer(messages.refused(str(found)))
        else:
            done(found)


def _end(wait: _Wait) -> None:
    for timer in wait.timers:
        timer.cancel()


def _turn_away(sock: socket.socket) -> None:
    with sock:
        try:
            sock.send(messages.refused(f"{CONNECTIONS_MAX} connections are open already", Error.BUSY))
        except OSError:
            return
