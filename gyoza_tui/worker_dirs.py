"""Where each worker of this host has its state directory."""

from __future__ import annotations

import hashlib
import re
import socket
from pathlib import Path
from typing import Final

SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def safe_name(text: str) -> str:
    """`text` where it can be a file's and a container's name, else a name made of its hash: ids are opaque."""
    if SAFE_NAME.fullmatch(text):
        return text
    return "x" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:31]


def worker_dir(base: Path, worker_id: str) -> Path:
    """`<base>/<host>/<worker_id>`: a home that several hosts share stays apart."""
    return base / safe_name(socket.gethostname()) / worker_id


def worker_dirs(base: Path) -> dict[str, Path]:
    """The state directories of this host's workers, by the worker's name."""
    host = base / safe_name(socket.gethostname())
    return {path.name: path for path in host.iterdir() if path.is_dir()} if host.is_dir() else {}
