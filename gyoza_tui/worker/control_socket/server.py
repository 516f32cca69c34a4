"""Serves a worker's control to cockpits of its user, over a socket in its state directory."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.control_socket import address
from gyoza_tui.worker.control_socket.cockpit import Cockpit
from gyoza_tui.worker.control_socket.parts import Encoder, Shown
from gyoza_tui.worker.control_socket.wire import Codec, Hello, frame, join
from gyoza_tui.worker.view.control import WorkerControl

COCKPITS_MAX: Final = 8
SHOW_S: Final = 0.5
_LOG_S: Final = 0.1
_BYE_S: Final = 0.5
"""How long a worker that ends waits for its cockpits to take its last words."""
_THERE_S: Final = 5.0
"""How often it looks whether its socket is still there."""


class ControlSocket:
    """Listens from `start` to `stop`. Nothing is computed while nobody looks."""

    def __init__(self, control: WorkerControl, root: Path, hello: Hello, clock: Clock) -> None:
        self._control = control
        self._root = root
        self._hello = join({"hello": Codec[Hello](Hello).dump(hello)})
        self._clock = clock
        self._encoder = Encoder(control)
        self._writing = threading.Lock()
        self._shown: Shown | None = None
        self._changed = threading.Condition()
        self._cockpits: list[Cockpit] = []
        self._listener: socket.socket | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Raises OSError when there can be no socket: the worker does without."""
        self._listener = address.listen(self._root)
        for work, name in ((self._accept, "control-accept"), (self._push, "control-push")):
            threading.Thread(target=work, name=name, daemon=True).start()

    def stop(self, words: str) -> None:
        """Tell every cockpit how the worker ends."""
        self._stopped.set()
        with self._changed:
            cockpits, listener = list(self._cockpits), self._listener
            self._listener = None
            self._changed.notify_all()
        if listener is not None:
            with suppress(OSError):
                (self._root / address.NAME).unlink(missing_ok=True)
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for cockpit in cockpits:
            cockpit.close(join({"bye": json.dumps(words).encode()}))
        ends = self._clock.boot() + _BYE_S
        for cockpit in cockpits:
            cockpit.wait(max(0.0, ends - self._clock.boot()))

    def _refresh(self) -> None:
        """Show every cockpit what the worker shows now."""
        with self._writing:
            self._show(self._encoder.shown())

    def _refresh_logs(self) -> None:
        """Show every cockpit how the logs have grown since."""
        with self._writing:
            if self._shown is not None:
                self._show(self._encoder.with_log_sizes(self._shown))

    def _show(self, shown: Shown) -> None:
        self._shown = shown
        for cockpit in self._watching():
            cockpit.show(shown)

    def _watching(self) -> list[Cockpit]:
        with self._changed:
            return [cockpit for cockpit in self._cockpits if cockpit.watches]

    def _accept(self) -> None:
        while not self._stopped.is_set():
            listener = self._listener
            if listener is None:
                return
            try:
                listener.settimeout(_THERE_S)
                connection, _ = listener.accept()
            except TimeoutError:
                self._listen_again()
                continue
            except OSError:
                if self._stopped.wait(1.0):  # as without a free descriptor
                    return
                continue
            self._welcome(connection)

    def _listen_again(self) -> None:
        """Somebody has removed the socket, as a cleaner of old files does."""
        if (self._root / address.NAME).exists():
            return
        with suppress(OSError), self._changed:
            if self._listener is not None:
                listener, self._listener = self._listener, address.listen(self._root)
                listener.close()

    def _welcome(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        if address.peer_uid(connection) not in (0, os.geteuid()):
            _refuse(connection, "this worker is another user's")
            return
        with self._changed:
            if self._stopped.is_set():
                connection.close()
            elif len(self._cockpits) >= COCKPITS_MAX:
                _refuse(connection, f"{COCKPITS_MAX} cockpits look at this worker already: close one of them")
            else:
                self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        cockpit = Cockpit(connection, self._control, self._refresh, self._leave)
        try:
            cockpit.start(self._hello)
        except RuntimeError:
            _refuse(connection, "the worker can start no thread for a cockpit now: try again")
        else:
            self._cockpits.append(cockpit)
            self._changed.notify_all()

    def _leave(self, cockpit: Cockpit) -> None:
        with self._changed:
            if cockpit in self._cockpits:
                self._cockpits.remove(cockpit)

    def _push(self) -> None:
        """What the worker shows twice a second, and how its logs grow ten times."""
        next_s = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._cockpits or self._stopped.is_set())
            if self._stopped.is_set():
                return
            if self._watching():
                now = self._clock.boot()
                if now >= next_s:
                    next_s = now + SHOW_S
                    self._refresh()
                else:
                    self._refresh_logs()
            self._stopped.wait(_LOG_S)


def _refuse(connection: socket.socket, words: str) -> None:
    with suppress(OSError), connection:
        connection.settimeout(1.0)
        connection.sendall(frame(join({"refused": json.dumps(words).encode()})))
