"""The demo's Docker image, made of this machine's own interpreter: nothing is fetched from anywhere."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from docker import APIClient

HOME = "/opt/python"
DEMO = Path(__file__).parents[2] / "demo"
ANSWER_S = 3
"""How long the engine may take to say what it has: nothing is on the terminal before that."""
ENGINE_S = 10
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_NOT_NEEDED = {"site-packages", "dist-packages", "test", "idlelib", "tkinter", "lib2to3", "ensurepip", "__pycache__"}


class NoImage(Exception):
    """Why the demo cannot run in Docker on this machine, in words."""


def ensure() -> str:
    """The image's name; made when the engine does not have it. NoImage when there is no engine, or no way."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    from gyoza_tui.backends.base import BackendUnavailable
    from gyoza_tui.backends.docker import place
    from gyoza_tui.backends.docker.client import Client

    name = f"gyoza-demo:{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}-{_fingerprint()}"
    try:
        client = Client(**place.find(os.environ).settings, timeout=ANSWER_S)
        try:
            if not client.images(name=name):
                client.timeout = ENGINE_S
                _make(client, name)
        finally:
            client.close()
    except APIError as error:
        raise NoImage(f"Docker makes no image for it: {error.explanation or error}") from None
    except BackendUnavailable as error:
        raise NoImage(str(error)) from None
    except (DockerException, RequestException):
        raise NoImage("no Docker engine answers") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise NoImage(f"no image can be made of this interpreter: {error}") from None
    return name


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for script in sorted(DEMO.glob("*.py")):
        digest.update(script.read_bytes())
    return digest.hexdigest()[:8]


def _make(api: APIClient, name: str) -> None:
    repository, tag = name.split(":")
    with tempfile.NamedTemporaryFile() as file:
        _write(file)
        file.flush()
        api.import_image_from_file(
            file.name, repository=repository, tag=tag, changes=[f'ENTRYPOINT ["{HOME}/bin/python3", "-I"]', "WORKDIR /"]
        )


def _write(file: IO[bytes]) -> None:
    executable = Path(sys.executable).resolve()
    standard = Path(sysconfig.get_path("stdlib"))
    extensions = sorted(Path(sysconfig.get_config_var("DESTSHARED")).glob("*.so"))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT, dereference=True) as tar:
        tar.add(executable, f"{HOME}/bin/python3", filter=_plain)
        tar.add(standard, f"{HOME}/lib/{version}", filter=_plain)
        if not extensions[0].is_relative_to(standard):
            for extension in extensions:
                tar.add(extension, f"{HOME}/lib/{version}/lib-dynload/{extension.name}", filter=_plain)
        for library in _libraries([executable, *extensions]):
            tar.add(os.path.realpath(library), library, filter=_plain)
        for script in DEMO.glob("*.py"):
            tar.add(script, f"demo/{script.name}", filter=_plain)
        for folder in ("tmp", "gyoza", "proc", "sys", "dev", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777 if folder in ("tmp", "gyoza") else 0o755
            tar.addfile(entry, io.BytesIO())


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The image's root owns all and everybody reads all: a container has no capability to do otherwise."""
    parts = entry.name.split("/")
    if _NOT_NEEDED & set(parts) or any(part.startswith("config-") for part in parts):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def _libraries(files: list[Path]) -> list[str]:
    """The shared libraries of these programs, the loader included, by their paths."""
    listed = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False, timeout=60).stdout
    return sorted(set(_LIBRARY.findall(listed)))
