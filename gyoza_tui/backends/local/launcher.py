"""Starts shims, from a copy of their code that an upgrade cannot change, and collects those that have ended."""

from __future__ import annotations

import hashlib
import os
import py_compile
import select
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from gyoza_tui.backends.base import BackendUnavailable
from gyoza_tui.backends.local import shim

_REPORT_S: Final = 30.0


class Launcher:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._code: Path | None = None
        self._shims: list[subprocess.Popen[bytes]] = []

    def launch(self, control: Path) -> bool:
        """Start a shim and wait for its report: True when its op runs, or another shim had the attempt.

        False when the command could not be run, or the shim did not get that far: the control directory will tell.
        """
        reader, writer = os.pipe()
        try:
            argv = [sys.executable, "-I", "-S", str(self._compiled()), str(control), str(writer)]
            process = subprocess.Popen(
                argv, cwd="/", env={}, start_new_session=True, pass_fds=(writer,), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            os.close(writer)
            writer = -1
            with self._lock:
                self._shims.append(process)
            if not select.select([reader], [], [], _REPORT_S)[0]:
                raise BackendUnavailable(f"the op was started and did not come up within {_REPORT_S:.0f} s")
            return os.read(reader, 100) in (shim.OK, shim.TAKEN)
        except OSError as error:
            raise BackendUnavailable(f"no process can be started: {error.strerror}") from None
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)

    def collect(self, timeout_s: float = 0.0, pid: int = 0) -> None:
        """Leave no zombies: all shims that have ended, and `pid` if it does so in time."""
        with self._lock:
            shims = list(self._shims)
        for process in shims:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout_s if process.pid == pid else 0)
        with self._lock:
            self._shims = [process for process in self._shims if process.returncode is None]

    def compile_again(self) -> None:
        """At the next launch: no shim came up, and its code may be damaged."""
        with self._lock:
            if self._code is not None:
                self._code.unlink(missing_ok=True)

    def _compiled(self) -> Path:
        """The shim's code, compiled once: every start of it would compile it again."""
        with self._lock:
            if self._code is None or not self._code.exists():
                source = Path(shim.__file__)
                digest = hashlib.sha256(source.read_bytes() + sys.version.encode()).hexdigest()[:16]
                self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._code = self._root / f".shim-{digest}.pyc"
                if not self._code.exists():
                    part = py_compile.compile(str(source), cfile=f"{self._code}.part", doraise=True)
                    shim.sync_file(str(part))
                    os.replace(str(part), self._code)
            return self._code
