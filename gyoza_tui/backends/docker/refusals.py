"""What the engine's words mean when it refuses to make or start a container."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final


class Meaning(Enum):
    OPS_FAULT = "no machine can start it: the fault is in the image or in what the run asks for"
    DISK_FULL = "the engine's disk is full"
    ENGINE_AWAY = "the engine's other half, containerd, is away: as if the engine had not answered"
    MACHINES_FAULT = "this machine cannot start it now; another one can"
    UNKNOWN = "a probe of the engine decides"


_TABLE: Final[tuple[tuple[Meaning, str], ...]] = (
    # The init is the engine's own, so its absence comes before what looks the same of an op's command.
    (Meaning.MACHINES_FAULT, r'exec: "(/sbin/)?docker-init"'),
    (Meaning.OPS_FAULT, r"^unable to find (user|group) "),
    (Meaning.OPS_FAULT, r"^the working directory .* is invalid|^Cannot mkdir: .* is not a directory"),
    (Meaning.OPS_FAULT, r'^[^"]*exec: "[^"]*": (executable file not found|.*no such file|.*permission denied)'),
    (Meaning.OPS_FAULT, r'^[^"]*exec: "[^"]*": .*is a directory'),
    (Meaning.OPS_FAULT, r"exec format error|^no command specified"),
    (Meaning.OPS_FAULT, r"^Duplicate mount point|^Minimum memory limit allowed|^Range of CPUs is from"),
    (Meaning.OPS_FAULT, r"init was OOM-killed \(memory limit too low\?\)"),
    (Meaning.OPS_FAULT, r"can't contain null|sethostname: invalid argument"),
    (Meaning.DISK_FULL, r"no space left on device|disk quota exceeded"),
    (Meaning.ENGINE_AWAY, r"transport is closing|ttrpc: closed|connection error: desc|shutting down"),
    (Meaning.MACHINES_FAULT, r"^failed to (create endpoint|set up container networking)|^network .* not found$"),
    (Meaning.MACHINES_FAULT, r"^no available IPv[46] addresses"),
    (Meaning.MACHINES_FAULT, r"could not select device driver|^Unknown runtime specified|nvidia-container-cli: "),
    (Meaning.MACHINES_FAULT, r"resource temporarily unavailable|cannot allocate memory|too many open files"),
    (Meaning.MACHINES_FAULT, r"context deadline exceeded|runc did not terminate successfully"),
    (Meaning.MACHINES_FAULT, r"no cgroup mount found|cgroup mountpoint does not exist|apply cgroup configuration"),
    (Meaning.MACHINES_FAULT, r"error creating overlay mount|layer does not exist|input/output error"),
)
"""By the first pattern found. Only what is certain is here."""
_COMPILED: Final = tuple((meaning, re.compile(pattern, re.I | re.S)) for meaning, pattern in _TABLE)


def meaning(words: str) -> Meaning:
    return next((known for known, pattern in _COMPILED if pattern.search(words)), Meaning.UNKNOWN)
