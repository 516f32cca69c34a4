"""The environment of a local op: little, then the run's, then the owner's, then what only we may say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from gyoza_tui.backends.local.shim import MARK
from gyoza_tui.models.hardware import GpuInfo

_BASE: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_REFUSED: Final = re.compile(
    r"PATH|HOME|SHELL|IFS|ENV|BASH.*|SHELLOPTS|PS4|PROMPT_COMMAND|CDPATH|GLOBIGNORE|TMPDIR"
    r"|LD_.*|DYLD_.*|GCONV_PATH|LOCPATH|NLSPATH|GLIBC_.*|MALLOC_.*|RES_OPTIONS|HOSTALIASES|LOCALDOMAIN"
    r"|PYTHON.*|PERL.*|RUBY.*|NODE_(OPTIONS|PATH|EXTRA_.*)|JAVA_.*|_JAVA_.*|JDK_.*|CLASSPATH|R_(LIBS|PROFILE|ENVIRON).*|LUA_.*|GO(FLAGS|PATH|ROOT|TOOLCHAIN)|CARGO_.*|RUST.*"
    r"|GIT_.*|SSH_.*|EDITOR|VISUAL|PAGER|LESS.*|BROWSER|XDG_.*|DBUS_.*|CONDA_.*|VIRTUAL_ENV|OPENSSL_.*|SSL_CERT_.*"
    r"|CUDA_(VISIBLE_DEVICES|INJECTION.*)|NVIDIA_.*|NCCL_.*PLUGIN.*",
)
"""Variables that choose which code runs, or whose files it reads. On the host those are the owner's to say."""


def refused(names: Iterable[str]) -> tuple[str, ...]:
    """Those variables that a run may not set for a command of the host."""
    return tuple(sorted(name for name in names if _REFUSED.fullmatch(name) or name == MARK))


def environment(
    *, home: str, run: Mapping[str, str], owner: Mapping[str, str], gpu: GpuInfo | None, mark: str
) -> dict[str, str]:
    """What the op finds. The owner's entries win over the run's; the GPU and the mark over both."""
    visible = "" if gpu is None else gpu.uuid or str(gpu.index)
    return {**_BASE, "HOME": home, **run, **owner, "CUDA_VISIBLE_DEVICES": visible, MARK: mark}
