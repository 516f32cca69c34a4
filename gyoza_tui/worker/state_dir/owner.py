"""The process that an attempt without a journal belongs to, and whether that one is gone for certain."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from gyoza_tui.backends.local import shim

_MACHINE_ID: Final = Path("/etc/machine-id")


class Owner(NamedTuple):
    """As text it goes into a label: whoever shares the engine reads it, perhaps on another machine."""

    host: str
    machine: str
    """`/etc/machine-id`; empty where there is none."""
    boot: str
    namespace: int
    """Of process ids: another container of this machine counts from 1 as well."""
    pid: int
    since: int
    """Ticks from the boot to its start."""

    @classmethod
    def this_process(cls) -> Owner:
        machine = _MACHINE_ID.read_text(errors="replace").strip() if _MACHINE_ID.exists() else ""
        namespace = os.stat("/proc/self/ns/pid").st_ino
        pid = os.getpid()
        return cls(socket.gethostname(), machine, shim.boot_id(), namespace, pid, shim.alive_since(pid) or 0)

    @classmethod
    def read(cls, text: str) -> Owner | None:
        match text.split("/"):
            case host, machine, boot, namespace, pid, since if all(map(str.isdecimal, (namespace, pid, since))):
                return cls(host, machine, boot, int(namespace), int(pid), int(since))
        return None

    def __str__(self) -> str:
        return "/".join(map(str, self))

    @property
    def gone(self) -> bool:
        """False where that cannot be known from here."""
        here = Owner.this_process()
        if self.boot == here.boot:
            return self.namespace == here.namespace and not self._may_live
        return bool(here.machine) and (self.host, self.machine) == (here.host, here.machine)

    @property
    def _may_live(self) -> bool:
        """Of a process with that id here. `/proc` may hide those of others."""
        if shim.stat_of(self.pid) is not None:
            return shim.alive_since(self.pid) == self.since
        with suppress(PermissionError):
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return False
        return True
