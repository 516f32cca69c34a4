"""Record what a real worker shows: `python -m tests.ui.record [scene …]` writes `fixtures/<scene>.json`.

Each scene is a worker of its own in a fresh process, with a real server, a real Docker engine and as many GPUs as the
compiled NVML stub is told to have. A recording is taken when the scene looks as it should, so that a second one shows
the same but for ids and times.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import docker

from gyoza_tui.models.filters import RunFilter
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.settings import Settings
from gyoza_tui.worker.control import ControlError, Ending
from gyoza_tui.worker.runner import Worker
from gyoza_tui.worker.snapshot import RunView
from tests import images
from tests.servers import KEY, ServerThread
from tests.ui.recording import RecordedLine, Recording, save
from tests.waiting import until
from tests.worker.test_hardware import build

LINES_KEPT: Final = 400
_TRAIN: Final = """
i=0; while [ $i -lt 1000 ]; do i=$((i+1))
  echo "step $i/1000 loss=0.$((9000 / (i + 9)))"
  [ $((i % 10)) = 0 ] && echo '{"type": "PROGRESS", "msg": '$((i / 10))'}'
  sleep 0.01
done"""
_COLOURS: Final = r"""
printf '\033[1mtraining\033[0m on \033[32mcuda:0\033[0m, \033[38;5;208m16\033[0m bit, \033[7mbatch 64\033[0m\n'
i=0; while [ $i -lt 120 ]; do i=$((i+1)); printf 'epoch %d/120 \033[36mloss\033[0m=0.%d\n' $i $((9000 / (i + 9))); done
printf '\033[33mWARNING\033[0m: learning rate is high\n' >&2
printf '学習率が高い 高い 高い 🥟 café e\314\201\n'
printf '\033]0;owned\007\033[2J\033]52;c;b3duZWQ=\007[/foo] [bold]markup[/bold] \033[8mhidden\033[0m\n'
printf 'Traceback (most recent call last):\n  File "train.py", line 12, in <module>\nValueError: no such column\n' >&2
i=0; while [ $i -lt 100 ]; do i=$((i+7)); printf '\rdownloading %3d%% ########' $i; done; printf '\n'
head -c 20000 /dev/zero | tr '\000' 'x'; printf '\nlast line without a newline'
sleep 600"""


def _op(name: str, script: str) -> str:
    """A command of this machine: what a GPU is lent to without NVIDIA's container runtime."""
    words = script.replace("{", "{{").replace("}", "}}")
    return f"[ops.{name}]\ncommand = {json.dumps(['/bin/sh', '-c', words], ensure_ascii=False)}\n"


@dataclass
class Scene:
    """A worker that runs, and what the scene's author does to it."""

    root: Path
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = KEY

    def start(self, url: str) -> None:
        ops = self.root / "ops.toml"
        ops.write_text("".join(_op(name, script) for name, script in (("train", _TRAIN), ("tune", _COLOURS))))
        made: dict[str, Any] = {
            "server_url": url,
            "worker_id": "lab-gpu-01",
            "state_dir": self.root / "state",
            "max_runs": 4,
            "min_free_mb": 0,
            "heartbeat_s": 1,
            "pull_policy": "missing",
            "docker_network": "none",
            "ops_file": ops,
        }
        self.worker = Worker(Settings(**made | self.settings), api_key=self.key)
        self.control = self.worker.control
        self.worker.printer.pause()
        self.worker.begin()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        until(holds, what, 60)

    def view(self, run: OpRun) -> RunView | None:
        views = (*self.control.snapshot().runs, *self.control.history(RunFilter(), 100).runs)
        return next((view for view in views if view.row.run_id == run.id), None)

    def step_of(self, run: OpRun) -> str:
        view = self.view(run)
        return view.row.step if view else ""

    def percent(self, run: OpRun) -> float:
        view = self.view(run)
        return view.progress.percent if view and view.progress else 0.0

    def outcome(self, run: OpRun) -> str | None:
        view = self.view(run)
        return view.row.outcome if view else None

    def recording(self) -> Recording:
        control = self.control
        taken = control.snapshot()
        past = control.history(RunFilter(), 1000).runs
        keys = [view.key for view in (*taken.runs, *past)]
        logs = {key: control.log_lines(key, 0, LINES_KEPT).lines for key in keys}
        descriptions = {}
        for key in keys:
            try:
                descriptions[key] = control.describe(key)
            except ControlError:
                continue
        return Recording(
            snapshot=taken,
            past=past,
            readings=control.samples(),
            told=control.notices(),
            checklist=control.checks(),
            details={key: control.details(key) for key in keys},
            descriptions=descriptions,
            logs={key: tuple(map(RecordedLine.of, lines)) for key, lines in logs.items()},
        )

    def close(self) -> None:
        self.control.pause()
        for view in self.control.snapshot().runs:
            self.control.release(view.row.run_id, view.row.attempt)
        until(lambda: not self.worker.runtime.active(), "the containers' end", 60)
        self.worker.close()


def busy(scene: Scene, server: ServerThread) -> None:
    """Runs in every state; a queue; failures that nobody has looked at."""
    client = server.client
    failed = client.create_run(
        images.BUSYBOX, command=["sh", "-c", "echo reading; echo CUDA error: device lost >&2; exit 3"]
    )
    killed = client.create_run(
        images.BUSYBOX, command=["sh", "-c", "head -c 90m /dev/zero | tail"], constraints={"ram_mb": 16}
    )
    done = client.create_run(
        images.BUSYBOX, command=["sh", "-c", """echo '{"accuracy": 0.93, "label": "cat"}' >$GYOZA_OUTPUT_JSON"""]
    )
    scene.until(lambda: all(scene.outcome(run) for run in (failed, killed, done)), "three ends")
    train = client.create_run("local://train", {"epochs": 10}, constraints={"vram_mb": 8192, "ram_mb": 64})
    logs = client.create_run("local://tune", constraints={"vram_mb": 4096})
    stubborn = client.create_run(images.BUSYBOX, command=["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    scene.until(lambda: scene.step_of(stubborn) == "run_container", "the third run")
    pulled = client.create_run(f"localhost:{_hanging_registry()}/models/embed:3", {"text": "gyoza"})
    for number in range(14):
        client.create_run(images.BUSYBOX, {"part": number}, command=["sleep", "60"])
    scene.until(lambda: scene.step_of(pulled) == "pull_latest_image", "the pull")
    scene.until(lambda: scene.percent(train) >= 42, "42 percent")
    scene.until(lambda: scene.step_of(logs) == "run_container", "the second run")
    client.update_run(stubborn.id, state=RunState.CANCELLED)
    scene.until(lambda: (view := scene.view(stubborn)) is not None and view.row.intent == "cancel", "the cancel")


def idle(scene: Scene, server: ServerThread) -> None:
    """Nothing to do."""


def paused(scene: Scene, server: ServerThread) -> None:
    scene.control.pause()


def draining(scene: Scene, server: ServerThread) -> None:
    run = server.client.create_run(images.BUSYBOX, command=["sleep", "600"])
    scene.until(lambda: scene.step_of(run) == "run_container", "the run")
    scene.control.end(Ending.DRAIN)


def some(scene: Scene, server: ServerThread) -> None:
    """Two runs on eight GPUs."""
    for _ in range(2):
        run = server.client.create_run("local://train", constraints={"vram_mb": 8192, "ram_mb": 64})
        scene.until(lambda run=run: scene.step_of(run) == "run_container", "the run")  # type: ignore[misc]


def _hanging_registry() -> int:
    """A port that takes connections and says nothing."""
    silent = socket.create_server(("127.0.0.1", 0))
    _OPEN.append(silent)
    return int(silent.getsockname()[1])


_OPEN: Final[list[socket.socket]] = []


@dataclass(frozen=True)
class Setting:
    act: Callable[[Scene, ServerThread], None] = idle
    gpus: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = KEY
    server: str = "there"
    """there, never, gone (after the first beat), named (another worker has the name)."""
    docker: str | None = None
    """Another engine's address."""


SCENES: Final[dict[str, Setting]] = {
    "busy": Setting(busy, gpus=2),
    "idle": Setting(),
    "gpus2": Setting(gpus=2),
    "gpus8": Setting(some, gpus=8),
    "paused": Setting(paused),
    "draining": Setting(draining),
    "offline": Setting(server="gone"),
    "never": Setting(server="never"),
    "unauthorized": Setting(key="not-the-key"),
    "name_held": Setting(server="named"),
    "docker_down": Setting(docker="unix:///run/no-docker-here.sock"),
    "disk_full": Setting(settings={"min_free_mb": 10**9}),
}


@contextmanager
def _other_worker(root: Path, url: str) -> Iterator[None]:
    other = Scene(root / "other")
    (root / "other").mkdir()
    other.start(url)
    try:
        other.until(lambda: other.control.snapshot().link.registered, "the other worker's beat")
        yield
    finally:
        other.close()


def record(name: str, root: Path) -> None:
    """In this process: one scene."""
    setting = SCENES[name]
    scene = Scene(root, setting.settings, setting.key)
    with ExitStack() as stack:
        server = stack.enter_context(ServerThread(root / "server.db"))
        if setting.server == "named":
            stack.enter_context(_other_worker(root, server.url))
        url = "http://localhost:5999" if setting.server == "never" else server.url
        scene.start(url)
        stack.callback(scene.close)
        link = scene.control.snapshot
        scene.until(lambda: link().link.registered or link().link.trouble is not None, "a word of the server")
        scene.until(lambda: len(scene.control.samples()) >= 10, "ten readings")
        setting.act(scene, server)
        if setting.server == "gone":
            server.__exit__(None, None, None)
            scene.until(lambda: link().link.trouble is not None, "the server's silence")
        save(name, scene.recording())


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--here":
        with tempfile.TemporaryDirectory() as root:
            record(sys.argv[2], Path(root))
        sys.stdout.flush()
        os._exit(0)
    images.build(docker.APIClient())
    with tempfile.TemporaryDirectory() as root:
        stub = build(Path(root) / "nvml")
        for name in sys.argv[1:] or SCENES:
            setting = SCENES[name]
            variables = {"LD_LIBRARY_PATH": str(stub), "NVML_STUB_GPUS": str(setting.gpus)} if setting.gpus else {}
            if setting.docker:
                variables["DOCKER_HOST"] = setting.docker
            argv = [sys.executable, "-m", "tests.ui.record", "--here", name]
            subprocess.run(argv, env={**os.environ, **variables}, check=True, timeout=180)
            print(f"recorded {name}")


if __name__ == "__main__":
    main()
