"""A process that has loaded the server, and forks one for each request: what is left of a start takes milliseconds.

`python -m tests.server.zygote DESCRIPTOR` reads requests from that socket: the server's options as JSON, with the
descriptors of its stdout, its stderr, its parent's pipe, and of a pipe that gets its process id and its exit code.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from typing import IO, Final

_REQUEST_MAX: Final = 64 * 1024


class ForkedServer:
    """As much of `subprocess.Popen` as tests use of it."""

    def __init__(self, pid: int, status: int, stdout: IO[str], stderr: IO[str]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._status = os.fdopen(status)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout_s: float) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout_s)[0]:
                raise subprocess.TimeoutExpired("server", timeout_s)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def fork_server(options: str, parent_pipe: int) -> ForkedServer:
    stdout, out = os.pipe()
    stderr, err = os.pipe()
    status, told = os.pipe()
    passed = [out, err, parent_pipe, told]
    socket.send_fds(_zygote()[0], [options.encode()], passed)
    for descriptor in (out, err, told):
        os.close(descriptor)
    pid = int(os.read(status, 32))
    return ForkedServer(pid, status, os.fdopen(stdout), os.fdopen(stderr))


@functools.cache
def _zygote() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Ends when this process does, for then its socket is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [sys.executable, "-m", __name__, str(theirs.fileno())]
    process = subprocess.Popen(argv, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    theirs.close()
    return ours, process


def _serve(options: str, parent_pipe: int) -> int:
    from gyoza_tui.server.errors import ServerError
    from gyoza_tui.server.launch import ServerOptions, serve
    from gyoza_tui.server.shared_state import Timings

    known = {"port": 0} | json.loads(options)
    timings = Timings(**known.pop("timings", {}))
    try:
        serve(
            ServerOptions(
                parent_pipe=parent_pipe,
                ready=lambda url: print(url, flush=True),
                timings=timings,
                **known,
            )
        )
    except ServerError as error:
        print(error, file=sys.stderr, flush=True)
        return 2
    return 0


def _forked(options: str, descriptors: list[int], inherited: list[int]) -> int:
    """The child's process id; in the child it never returns."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        for descriptor in inherited:
            os.close(descriptor)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(descriptors[0], 1)
        os.dup2(descriptors[1], 2)
        os.close(descriptors[0])
        os.close(descriptors[1])
        code = _serve(options, descriptors[2])
    finally:
        os._exit(code)


def main(control: socket.socket) -> None:
    importlib.import_module("gyoza_tui.server.launch")
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    told: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _bury(told)
        if control.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(control, _REQUEST_MAX, 4)
            if not message:
                return
            pid = _forked(
                message.decode(), descriptors[:3], [control.fileno(), woken, wake, descriptors[3], *told.values()]
            )
            for descriptor in descriptors[:3]:
                os.close(descriptor)
            told[pid] = descriptors[3]
            os.write(descriptors[3], f"{pid}\n".encode())


def _bury(told: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = found
            descriptor = told.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(descriptor, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(descriptor)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
