"""From a container's output to the spool and the outbox, without ever making the container wait.

One thread reads, one writes. When the disk is slower than the op, the reader lets go of the engine's stream instead of
holding it back (that would freeze the op), and takes the output up again behind what the spool has: the same way as
after a restart of the worker.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from gyoza_tui.backends.base import AttemptPhase, Backend, BackendError, Chunk, Exit, Handle, Output, Stream
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import KIB, MIB
from gyoza_tui.models.runs import EventReport
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.execution_pipeline.patience import Patience
from gyoza_tui.worker.op_output.event_gate import EventGate
from gyoza_tui.worker.op_output.event_lines import EventLines, Lines, OpEvent
from gyoza_tui.worker.op_output.log_spool import LogSpool

_PARSED_AT_ONCE = 256 * KIB
"""Other threads wait for that."""
BUFFER_MAX = 32 * MIB
"""Read and not yet written, what is just being written included."""
IDLE_S = 0.25
"""How long an event held back for its rate may wait without new output."""
_END_S = 2.0
"""How much later than its output an op's end is waited for, before the output is taken up again."""
_RETRY_S = 0.5


class LogPump:
    """Of one attempt. Wakes the slot thread when the attempt has ended and all its output is in the spool."""

    def __init__(
        self,
        backend: Backend,
        handle: Handle,
        spool: LogSpool,
        clock: Clock,
        *,
        parsed: int,
        tell: Callable[[list[EventReport], int], None],
        warn: Callable[[str], None],
        wake: threading.Event,
    ) -> None:
        self._backend = backend
        self._handle = handle
        self._spool = spool
        self._clock = clock
        self._tell = tell
        self._warn = warn
        self._lines = EventLines(offset=parsed)
        self._gate = EventGate(clock)
        self._buffer: deque[Chunk] = deque()
        self._buffered = 0
        self._drained = threading.Condition()
        self._read_all = False
        self._writing = False
        self._wake = wake
        self._over = threading.Event()
        self._output: Output | None = None
        self._abandoned = False
        self._left = threading.Event()
        """The writer has written its last."""
        self.state: Exit | AttemptPhase = AttemptPhase.CREATED
        self.error: BaseException | None = None

    @property
    def ended(self) -> bool:
        """The attempt has ended and its output is written, or the pump broke: see `error`. Then `wake` is set."""
        return self._over.is_set()

    def join(self, timeout_s: float) -> None:
        """Wait for that, of an attempt that is stopped."""
        self._over.wait(timeout_s)

    def abandon(self) -> None:
        """Leave the attempt as it is: its output from here on is for the worker's next start."""
        self._abandoned = True
        if self._output is not None:
            self._output.close()
        self._finish_reading()

    def leave(self, timeout_s: float) -> None:
        """Abandon it for another pump, which goes on behind what is spooled; returns when this one spools no more."""
        self.abandon()
        self._left.wait(timeout_s)

    def open(self, *, fresh: bool) -> Output:
        """Open the output: before the start (`fresh`), or behind what the spool has."""
        return self._backend.output(self._handle, None if fresh else self._spool.resume())

    def go(self, output: Output) -> None:
        """Start both threads; the attempt has been started."""
        name = threading.current_thread().name
        try:
            for part, work in (("spool", (self._write,)), ("output", (self._read, output))):
                threading.Thread(target=self._guard, args=work, name=f"{name}-{part}", daemon=True).start()
        except RuntimeError:  # as many threads as there may be
            self._finish_reading()
            output.close()
            raise

    def _guard(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            self.error = self.error or error
            self._finish_reading()
            self._end()
        finally:
            if work == self._write:
                self._left.set()

    def _end(self) -> None:
        self._over.set()
        self._wake.set()

    def note(self, text: str) -> None:
        """Put a line of ours into the log, at the place that it has reached."""
        self._spool.append(Chunk(Stream.STDOUT, b"", note=text), self._clock.utc().timestamp())

    # The reader

    def _read(self, output: Output) -> None:
        while True:
            let_go = self._read_once(output)
            self._wait_drained()
            if self._abandoned:
                return
            if not let_go:
                state = self._wait()
                if state is not AttemptPhase.RUNNING:
                    self.state = state
                    if isinstance(state, Exit) and not output.covers(state):
                        self._read_rest()
                    break
            output = self._reopened()
        self._finish_reading()

    def _read_rest(self) -> None:
        """What an attempt that has ended wrote after its stream was lost, however much that is."""
        while self._read_once(self._reopened()) and not self._abandoned:
            self._wait_drained()

    def _finish_reading(self) -> None:
        """The writer ends after what is in the buffer."""
        with self._drained:
            self._read_all = True
            self._drained.notify_all()

    def _read_once(self, output: Output) -> bool:
        """Read to the stream's end; True when it was let go because the buffer is full."""
        self._output = output
        if self._abandoned:
            output.close()
        for chunk in output:
            with self._drained:
                self._buffer.append(chunk)
                self._buffered += len(chunk.data)
                self._drained.notify_all()
                full = self._buffered > BUFFER_MAX
            if full:
                output.close()
                return True
        return False

    def _wait(self) -> Exit | AttemptPhase:
        """The attempt's state once its stream has ended; RUNNING when it goes on without its stream."""
        patience = Patience(self._clock)
        while True:
            try:
                return self._backend.wait(self._handle, _END_S)
            except BackendError as error:
                if patience.over(error):
                    raise
                self._clock.wait(threading.Event(), _RETRY_S)

    def _reopened(self) -> Output:
        patience = Patience(self._clock)
        while True:
            try:
                return self.open(fresh=False)
            except BackendError as error:
                if patience.over(error):
                    raise
                self._clock.wait(threading.Event(), _RETRY_S)

    def _wait_drained(self) -> None:
        with self._drained:
            self._drained.wait_for(lambda: self._abandoned or (not self._buffer and not self._writing))

    # The writer

    def _write(self) -> None:
        self._parse_spooled()
        while not self._abandoned:
            with self._drained:
                self._drained.wait_for(lambda: self._buffer or self._read_all, timeout=IDLE_S)
                chunks, self._buffer = self._buffer, deque()
                self._writing = bool(chunks)
                done = self._read_all and not chunks
            now = self._clock.utc().timestamp()
            for chunk in chunks:
                self._spool.append(chunk, now)
                if chunk.note is not None:
                    self._warn(chunk.note)
            self._tell_events(self._events(chunks), done=done)
            with self._drained:
                self._buffered -= sum(len(chunk.data) for chunk in chunks)
                self._writing = False
                self._drained.notify_all()
            if done:
                self._end()
                return

    def _events(self, chunks: Iterable[Chunk]) -> list[OpEvent]:
        """What passes of the events in the output."""
        events: list[OpEvent] = []
        pieces: list[bytes] = []
        size = 0
        for chunk in chunks:
            if chunk.stream is not Stream.STDOUT:
                continue
            pieces.append(chunk.data)
            size += len(chunk.data)
            if chunk.note is not None or size >= _PARSED_AT_ONCE:
                events += self._passed(self._lines.feed(b"".join(pieces)))
                pieces, size = [], 0
            if chunk.note is not None:  # what comes next does not go on with an unfinished line
                events += self._passed(self._lines.finish())
        return events + self._passed(self._lines.feed(b"".join(pieces)))

    def _passed(self, found: Iterable[Lines]) -> list[OpEvent]:
        return [event for lines in found for event in self._gate.offer(lines)]

    def _parse_spooled(self) -> None:
        """After a restart: what was spooled, but not yet told when the worker ended."""
        events: list[OpEvent] = []
        position = self._lines.offset
        for offset, data in self._spool.stream_pieces(Stream.STDOUT, position):
            if offset > position:
                self._lines.skip(offset)
            position = offset + len(data)
            events += self._passed(self._lines.feed(data))
        self._tell_events(events, done=False)

    def _tell_events(self, events: list[OpEvent], *, done: bool) -> None:
        """Put the spool on disk, then the events in the outbox: never the other way round."""
        if done:
            events = events + self._passed(self._lines.finish())
        passed = events + (self._gate.finish() if done else self._gate.due())
        self._spool.flush()
        if passed:
            parsed = max(event.end for event in passed) if self._gate.holds else self._lines.offset
            self._tell([EventReport(type=e.type, msg=e.msg, payload=e.payload) for e in passed], parsed)
        if done and self._gate.dropped:
            words = f"{self._gate.dropped} events of the op were over the rate or size limit and dropped"
            self._tell([EventReport(type=EventType.INFO, msg=words)], self._lines.offset)
