"""The test images, made from this machine's own files: nothing is pulled, and what is there already is used again."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import docker
from docker.errors import ImageNotFound

BUSYBOX: Final = "gyoza-test/busybox:1"
PYTHON: Final = "gyoza-test/python:1"
NOBODY: Final = "gyoza-test/nobody:1"
"""Busybox, run as a user without rights."""
_BUSYBOX_BINARY: Final = Path("/bin/busybox")
_LEFT_OUT: Final = {"__pycache__", "test", "tests", "site-packages", "idlelib", "tkinter", "ensurepip", "lib2to3"}


def build(client: docker.APIClient) -> None:
    """Make all images in that engine unless it has them."""
    build_busybox(client)
    if not _has(client, NOBODY):
        _import(client, NOBODY, _base_files(), ['CMD ["sh"]', "USER 65534"])
    if not _has(client, PYTHON):
        _import(client, PYTHON, _python_files(), ["CMD python3"])


def build_busybox(client: docker.APIClient) -> None:
    if not _has(client, BUSYBOX):
        _import(client, BUSYBOX, _base_files(), ['CMD ["sh"]'])


def _has(client: docker.APIClient, image: str) -> bool:
    try:
        client.inspect_image(image)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return False
    return True


def _import(
    client: docker.APIClient, image: str, entries: Iterator[tuple[tarfile.TarInfo, bytes]], changes: list[str]
) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    repository, _, tag = image.partition(":")
    changes = ["ENV PATH=/usr/local/bin:/usr/bin:/bin", *changes]
    client.import_image_from_data(archive.getvalue(), repository=repository, tag=tag, changes=changes)


def _base_files() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for name, mode in (("bin", 0o755), ("tmp", 0o1777), ("etc", 0o755), ("dev", 0o755), ("usr/local/bin", 0o755)):
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode
        yield info, b""
    yield _file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    yield _file("bin/busybox", _BUSYBOX_BINARY.read_bytes(), 0o755)
    applets = subprocess.run([str(_BUSYBOX_BINARY), "--list"], capture_output=True, text=True, check=True).stdout
    for applet in applets.split():
        if applet != "busybox":
            yield _link(f"bin/{applet}", "busybox")


def _python_files() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """The running interpreter at its own path, its standard library, and the shared libraries it is linked with."""
    yield from _base_files()
    binary = Path(os.path.realpath(sys.executable))
    library = Path(sysconfig.get_path("stdlib"))
    yield _file(str(binary), binary.read_bytes(), 0o755)
    yield _link("usr/local/bin/python3", str(binary))
    extensions: list[Path] = []
    for folder, folders, files in os.walk(library):
        folders[:] = sorted(set(folders) - _LEFT_OUT)
        folders[:] = [name for name in folders if not name.startswith("config-")]
        for name in sorted(files):
            path = Path(folder, name)
            yield _file(str(path), path.read_bytes(), 0o755)
            if path.suffix == ".so":
                extensions.append(path)
    for shared in sorted(_libraries([binary, *extensions])):
        yield _file(shared, Path(shared).read_bytes(), 0o755)


def _libraries(binaries: list[Path]) -> set[str]:
    found: set[str] = set()
    for binary in binaries:
        listing = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
        found.update(re.findall(r"(/\S+) \(0x", listing))
    return found


def _file(name: str, data: bytes, mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.size, info.mode = len(data), mode
    return info, data


def _link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info, b""
