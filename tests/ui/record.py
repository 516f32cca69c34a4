"""Record what a real worker shows: `python -m tests.ui.record [scene …]` writes `fixtures/<scene>.json`.

Each scene is a worker of its own in a fresh process, with a real server, a real Docker engine and as many GPUs as the
compiled NVML stub is told to have. A recording is taken when the scene looks as it should, so that a second one shows
the same but for times.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import docker

from tests import images
from tests.servers import ServerThread
from tests.ui.recording import Recording, save
from tests.ui.scenes import SCENES, Scene, Setting
from tests.worker.test_hardware import build

_LOADS: Final = ("38 92 96 71 88 95 97", "2 0 4 1 3", "97 99", "12 88 85", "91 93 90", "64 58", "0", "0")
_GPUS: Final = {
    "NAME": "NVIDIA A100-SXM4-80GB",
    "TOTAL": "81920",
    "LIMIT": "400",
    "LOAD": ",".join(_LOADS),
    "MEMORY": "62464,23552,78848,60416,61440,60928,4,4",
    "HEAT": "71,34,86,68,70,64,31,30",
    "POWER": "251,62,388,301,322,247,58,57",
}
_URL: Final = "http://localhost:5555"
_NOWHERE: Final = "http://localhost:5999"
_FOLDER: Final = "/var/lib/gyoza"


@contextmanager
def playing(setting: Setting, root: Path) -> Iterator[tuple[Scene, ServerThread]]:
    """A worker and its server, at the moment at which the scene is as it should be."""
    scene = Scene(root, setting.settings, setting.key)
    with ExitStack() as stack:
        server = stack.enter_context(ServerThread(root / "server.db", setting.timings))
        scene.url = _NOWHERE if setting.server == "never" else server.url
        if setting.server == "named":
            stack.callback(scene.beside("lab-gpu-01").close)
        scene.start()
        stack.callback(scene.close)
        link = scene.control.snapshot
        scene.until(lambda: link().link.registered or link().link.trouble is not None, "a word of the server")
        scene.until(lambda: len(scene.control.samples()) >= 2, "readings")
        setting.act(scene, server)
        yield scene, server


def tidied(recording: Recording, root: Path, server: ServerThread) -> Recording:
    """Without what this machine has made up: ports, folders, control groups above the op's own."""
    text = recording.text()
    for here, there in ((server.url, _URL), (_NOWHERE, _URL), (str(root), _FOLDER)):
        text = text.replace(here, there)
    return Recording.of(re.sub(r"(/sys/fs/cgroup/\w+)/[^\"]*/(gyoza-)", r"\1/\2", text))


def _record(name: str, root: Path) -> None:
    """In this process: one scene."""
    with playing(SCENES[name], root) as (scene, server):
        save(name, tidied(scene.recording(), root, server))


def _environment(setting: Setting, stub: Path) -> dict[str, str]:
    environment = dict(os.environ)
    if setting.gpus:
        environment |= {"LD_LIBRARY_PATH": str(stub), "NVML_STUB_GPUS": str(setting.gpus)}
        environment |= {f"NVML_STUB_{name}": value for name, value in _GPUS.items()}
    if setting.docker:
        environment["DOCKER_HOST"] = setting.docker
    return environment


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--here":
        with tempfile.TemporaryDirectory() as root:
            _record(sys.argv[2], Path(root))
        sys.stdout.flush()
        os._exit(0)
    images.build(docker.APIClient())
    with tempfile.TemporaryDirectory() as root:
        stub = build(Path(root) / "nvml")
        for name in sys.argv[1:] or SCENES:
            argv = [sys.executable, "-m", "tests.ui.record", "--here", name]
            subprocess.run(argv, env=_environment(SCENES[name], stub), check=True, timeout=300)
            print(f"recorded {name}", flush=True)


if __name__ == "__main__":
    main()
