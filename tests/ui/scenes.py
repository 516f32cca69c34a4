"""What is recorded: workers of a real server with real containers, and what somebody does to them."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gyoza_tui.op
from gyoza_tui.models.definitions import OpDefinition
from gyoza_tui.models.filters import RunFilter
from gyoza_tui.models.runs import OpRun, RunPatch
from gyoza_tui.models.states import RunState
from gyoza_tui.server.shared_state import Timings
from gyoza_tui.settings import Settings
from gyoza_tui.worker.runner import Worker
from gyoza_tui.worker.view.control import ControlError, Ending
from gyoza_tui.worker.view.snapshot import Phase, RunView
from tests import images
from tests.servers import KEY, ServerThread
from tests.ui.recording import RecordedLine, Recording
from tests.waiting import until

LINES_KEPT: Final = 400
_PATIENCE_S: Final = 200
_TRAIN: Final = r"""
echo "resumed from checkpoint-2000, world size 1, bf16"
i=0; while [ $i -lt 1000 ]; do i=$((i+4))
  loss=$((23000 / (i + 17) + (i * 7919) % 13))
  printf 'step %4d/1000  loss=%d.%02d  lr=3.0e-4  grad=%d.%d  %d.%d it/s\n' $i $((loss / 100)) $((loss % 100)) \
    $((i % 3)) $((i * 31 % 10)) $((9 + i % 2)) $((i * 17 % 10))
  [ $((i % 200)) = 0 ] && printf '\033[32msaved\033[0m checkpoint-%d (1.4 GB)\n' $((2000 + i))
  [ $i = 364 ] && printf '\033[33mWARNING\033[0m: loss spike at step 364, batch skipped\n' >&2
  [ $((i % 20)) = 0 ] && echo '{"type": "PROGRESS", "msg": '$((i / 10))'}'
  sleep 1.05
done"""
_COLOURS: Final = r"""
printf '\033[1mtraining\033[0m on \033[32mcuda:0\033[0m, \033[38;5;208m16\033[0m bit, \033[7mbatch 64\033[0m\n'
i=0; while [ $i -lt 120 ]; do
  i=$((i+1)); printf 'epoch %d/120 \033[36mloss\033[0m=0.%03d\n' $i $((9000 / (i + 9)))
done
printf '\033[33mWARNING\033[0m: learning rate is high\n' >&2
printf '学習率が高い 高い 高い 🥟 café e\314\201\n'
printf '\033]0;owned\007\033[2J\033]52;c;b3duZWQ=\007[/foo] [bold]markup[/bold] \033[8mhidden\033[0m\n'
printf 'Traceback (most recent call last):\n  File "train.py", line 12, in <module>\nValueError: no such column\n' >&2
i=0; while [ $i -lt 100 ]; do i=$((i+10)); printf '\rdownloading %3d%% ########' $i; done; printf '\n'
head -c 20000 /dev/zero | tr '\000' 'x'; printf '\nlast line without a newline'
sleep 600"""
_PIPELINE: Final = r"""
import sys
sys.path.insert(0, sys.argv[1])
from gyoza_op import submit, wait
print("split cats.parquet into 5 parts", flush=True)
children = [submit("shard@1.2.0", key="shard"), *(submit("embed@0.3.1", dict(part=n), key=str(n)) for n in range(5))]
print("waits for", len(children), "children", flush=True)
wait(children)"""
_SHARD: Final = r"""
import sys
sys.path.insert(0, sys.argv[1])
from gyoza_op import submit, wait
wait([submit("embed@0.3.1", dict(part=9))])"""
_EMBED: Final = r"""
part=$(tr -dc 0-9 < "$GYOZA_INPUT_JSON")
[ $part = 0 ] && { echo '{"vectors": 4096}' > "$GYOZA_OUTPUT_JSON"; exit 0; }
[ $part = 1 ] && { echo "part-1.parquet: checksum mismatch" >&2; exit 3; }
echo "embedding part $part"
echo '{"type": "PROGRESS", "msg": '$((part * 21 % 100))'}'
sleep 600"""
_COUNT: Final = r"""
printf 'one\ntwo\n\033[31mthree\033[0m\n' && echo '{"type": "PROGRESS", "msg": 60}'
[ "$GYOZA_INPUT_JSON" ] && grep -q wait "$GYOZA_INPUT_JSON" && sleep 600
echo '{"sum": 6}' > "$GYOZA_OUTPUT_JSON" """
_IDS: Final = (
    "a1b2c3d4-4f1e-4a52-9d36-0c57be1f8a20",
    "77fe01aa-9b2d-4c0e-8f71-5d20c9ab6e13",
    "93bb10f2-1c88-47d5-a2e9-f6037b5d1c48",
    "0c4d9e11-e5a7-4b3f-b1d2-84c6a9f0273e",
    "5e20b7c9-37f6-4d81-9ac4-6b1fe2d05894",
    "d8f3a615-80bc-4e29-8d57-31a7c4f96e0b",
    "2b9ac47e-6d15-4f83-a0be-c95e7213d8f6",
    "f1670d3b-a94c-4527-be18-2d8f60c3b7a5",
    "6ac5e829-02d7-4b9e-87f3-e41b9d7a50c6",
    "b40e9d57-f8a1-4c36-95d0-7a2c1e8f4b63",
    "38d1f6c0-5b7e-49a4-8c2f-a60d93e7b512",
    "c72b54ea-1e90-4d68-a3b7-0f95d86c2e41",
)


def _op(name: str, *command: str) -> str:
    """A command of this machine: what a GPU is lent to without NVIDIA's container runtime."""
    words = [word.replace("{", "{{").replace("}", "}}") for word in command]
    return f"[ops.{name}]\ncommand = {json.dumps(words, ensure_ascii=False)}\n"


_OPS: Final = {"train": _TRAIN, "tune": _COLOURS, "count": _COUNT, "embed": _EMBED}
_PARENTS: Final = {"pipeline": _PIPELINE, "shard": _SHARD}


@dataclass
class Scene:
    """A worker that runs, and what the scene's author does to it."""

    root: Path
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = KEY

    url: str = ""

    def start(self) -> None:
        ops = self.root / "ops.toml"
        shutil.copy(gyoza_tui.op.__file__, self.root / "gyoza_op.py")
        shells = [_op(name, "/bin/sh", "-c", script) for name, script in _OPS.items()]
        parents = [_op(name, "python3", "-c", script, str(self.root)) for name, script in _PARENTS.items()]
        ops.write_text("".join([*shells, *parents]))
        made: dict[str, Any] = {
            "server_url": self.url,
            "api_key": self.key,
            "worker_id": "lab-gpu-01",
            "state_dir": self.root / "state",
            "max_runs": 4,
            "min_free_mb": 0,
            "heartbeat_s": 1,
            "pull_policy": "missing",
            "docker_network": "none",
            "ops_file": ops,
        }
        self.worker = Worker(Settings(**made | self.settings))
        self.control = self.worker.control
        self.worker.printer.pause()
        self.worker.begin()

    def leave(self) -> None:
        """The worker goes; its containers stay for the next one."""
        self.control.end(Ending.DETACH)
        self.worker.serve()
        self.worker.close()

    def beside(self, name: str) -> Scene:
        """Another worker of the same server."""
        other = Scene(self.root / "other", {"worker_id": name}, url=self.url)
        other.root.mkdir()
        other.start()
        other.until(lambda: other.control.snapshot().link.registered, "the other worker's beat")
        return other

    def until(self, holds: Callable[[], bool], what: str) -> None:
        until(holds, what, _PATIENCE_S)

    def view(self, run: OpRun) -> RunView | None:
        views = (*self.control.snapshot().runs, *self.control.history(RunFilter(), 100).runs)
        return next((view for view in views if view.run_id == run.id), None)

    def step_of(self, run: OpRun) -> str:
        view = self.view(run)
        return view.step if view else ""

    def phase(self, run: OpRun) -> Phase | None:
        view = self.view(run)
        return view.phase if view else None

    def percent(self, run: OpRun) -> float:
        view = self.view(run)
        return view.progress.percent if view and view.progress else 0.0

    def outcome(self, run: OpRun) -> str | None:
        view = self.view(run)
        return view.outcome if view else None

    def told(self, run: OpRun) -> bool:
        """Whether the server knows that its container has started."""
        view = self.view(run)
        return view is not None and view.server_state == RunState.RUNNING

    def runs(self, *runs: OpRun) -> None:
        """Wait for their containers."""
        self.until(lambda: all(self.phase(run) is Phase.RUNNING for run in runs), "the containers")

    def ended(self, *runs: OpRun) -> None:
        self.until(lambda: all(self.outcome(run) for run in runs), "the ends")

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
            children={view.key: control.children(view.key) for view in (*taken.runs, *past) if view.may_submit},
            descriptions=descriptions,
            logs={key: tuple(map(RecordedLine.of, lines)) for key, lines in logs.items()},
        )

    def close(self) -> None:
        self.control.pause()
        for view in self.control.snapshot().runs:
            self.control.release(view.run_id, view.attempt)
        until(lambda: all(view.outcome for view in self.control.snapshot().runs), "the containers' end", 60)
        self.worker.close()


@dataclass
class Orders:
    """Runs of definitions with names and versions, under ids that are the same each time."""

    server: ServerThread
    ids: Iterable[str] = field(default_factory=lambda: iter(_IDS))

    def run(
        self,
        op: str,
        image: str = images.BUSYBOX,
        inputs: dict[str, Any] | None = None,
        *,
        script: str | None = None,
        **wants: int,
    ) -> OpRun:
        """`op` is `name@version`."""
        inputs = inputs or {}
        self.define(op, image, inputs, script=script, constraints=wants)
        name, _, version = op.partition("@")
        return self.server.client.create_run_from_definition(
            name, inputs, version=version, id=next(iter(self.ids), None)
        )

    def define(
        self, op: str, image: str, inputs: Iterable[str] = (), *, script: str | None = None, **more: Any
    ) -> None:
        name, _, version = op.partition("@")
        definition: dict[str, Any] = {
            "id": name,
            "version": version,
            "image": image,
            "command": ["sh", "-c", script] if script else None,
            "input_specs": {key: {} for key in inputs},
        }
        self.server.client.upsert_definition(OpDefinition.model_validate(definition | more))


def busy(scene: Scene, server: ServerThread) -> None:
    """Runs in every state; a queue; failures that nobody has looked at."""
    orders = Orders(server)
    train = orders.run("train@2.1.0", "local://train", {"epochs": 10, "data": "s3://cats"}, vram_mb=60000, ram_mb=64)
    tune = orders.run("tune@0.9.2", "local://tune", vram_mb=24000)
    scene.runs(train, tune)
    past = [
        orders.run("embed@0.3.1", script="""sleep 9; echo '{"vectors": 4096}' >$GYOZA_OUTPUT_JSON"""),
        orders.run("classify@1.0.0", script="""sleep 5; echo '{"label": "cat"}' >$GYOZA_OUTPUT_JSON"""),
        orders.run("train@2.0.9", script="sleep 8; head -c 90m /dev/zero | tail", ram_mb=16),
        orders.run("segment@1.4.0", script="sleep 3; echo reading; echo CUDA error: device lost >&2; exit 3"),
        orders.run("caption@0.2.0", script="sleep 60"),
        orders.run("classify@1.0.0", script="""sleep 7; echo '{"label": "dog"}' >$GYOZA_OUTPUT_JSON"""),
        orders.run("embed@0.3.1", script="""sleep 4; echo '{"vectors": 512}' >$GYOZA_OUTPUT_JSON"""),
    ]
    scene.runs(past[4])
    scene.control.cancel(past[4].id, 1)
    scene.ended(*past)
    stubborn = orders.run("classify@1.1.0", script="trap '' TERM; while :; do sleep 1; done", inputs={"image": "7.png"})
    scene.runs(stubborn)
    pulled = orders.run("embed@0.4.0", f"localhost:{_hanging_registry()}/models/embed:4", {"text": "gyoza"})
    for number in range(14):
        server.client.create_run(images.BUSYBOX, {"part": number}, command=["sleep", "60"])
    scene.until(lambda: scene.step_of(pulled) == "pull_latest_image", "the pull")
    scene.until(lambda: scene.percent(train) >= 42, "42 percent")
    server.client.update_run(stubborn.id, state=RunState.CANCELLED)
    scene.until(lambda: (view := scene.view(stubborn)) is not None and view.intent == "cancel", "the cancel")


def family(scene: Scene, server: ServerThread) -> None:
    """A parent that waits for children in every state, one of them a parent too; a run that is frozen."""
    client, orders = server.client, Orders(server)
    frozen = orders.run("train@2.1.0", "local://train", vram_mb=24000)
    scene.until(lambda: scene.percent(frozen) >= 6, "6 percent")
    client.patch_run(frozen.id, RunPatch(frozen=True, by="anna"))
    scene.until(lambda: scene.phase(frozen) is Phase.FROZEN, "the freeze")
    orders.define("embed@0.3.1", "local://embed", ["part"])
    orders.define("shard@1.2.0", "local://shard", may_submit="definitions")
    orders.define("pipeline@3.0.0", "local://pipeline", may_submit="definitions")
    parent = client.create_run_from_definition("pipeline", {}, version="3.0.0", id=next(iter(orders.ids)))

    def children() -> list[OpRun]:
        return [run for run in client.list_runs().items if run.parent_id == parent.id]

    wanted = {"WAITING": 1, "RUNNING": 2, "PENDING": 1, "COMPLETED": 1, "FAILED": 1}
    scene.until(lambda: Counter(run.state_word for run in children()) == wanted, "the children")
    last = next(run for run in children() if run.state is RunState.PENDING)
    client.patch_run(last.id, RunPatch(held=True, by="anna"))
    views = scene.control.snapshot
    scene.until(lambda: [view.waits.left for view in views().runs if view.waits] == [4, 1], "what is waited for")
    scene.until(lambda: all(view.server_state == RunState.RUNNING for view in views().runs), "that the server says so")


def idle(scene: Scene, server: ServerThread) -> None:
    """Nothing to do."""


def queued(scene: Scene, server: ServerThread) -> None:
    """Work that is not for this worker."""
    for _ in range(3):
        server.client.create_run(images.BUSYBOX, constraints={"vram_mb": 800_000})
    scene.until(lambda: scene.control.snapshot().link.queued == 3, "the queue")


def never(scene: Scene, server: ServerThread) -> None:
    scene.until(lambda: scene.control.snapshot().next_try_s > 3, "a countdown")


def paused(scene: Scene, server: ServerThread) -> None:
    scene.control.pause()


def draining(scene: Scene, server: ServerThread) -> None:
    scene.runs(Orders(server).run("classify@1.0.0", script="sleep 600"))
    scene.control.end(Ending.DRAIN)


def some(scene: Scene, server: ServerThread) -> None:
    """A training run on six of eight GPUs."""
    orders = Orders(server)
    for _ in range(6):
        train = orders.run("train@2.1.0", "local://train", vram_mb=60000, ram_mb=64)
        scene.runs(train)
    scene.until(lambda: scene.percent(train) >= 12, "12 percent of the last")


def shared(scene: Scene, server: ServerThread) -> None:
    """Three GPUs that another program uses too: next to a run, alone, and without that the driver names it."""
    table = scene.root / "processes"
    table.write_text(f"0 {os.getpid()} 20480\n1 {os.getpid()} 40960\n2 0 12288\n")
    os.environ |= {"NVML_STUB_TABLE": str(table), "NVML_STUB_MEMORY": "0,0,0"}
    train = Orders(server).run("train@2.1.0", "local://train", gpu_id=0, vram_mb=24000, ram_mb=64)
    used = [20480, 40960, 12288]
    now = scene.control.snapshot
    scene.until(lambda: [each.mb for each in now().foreign.values()] == used, "what others use")
    scene.runs(train)


def fates(scene: Scene, server: ServerThread) -> None:
    """A run that went to another worker, one that was given back, and one that outlived its worker."""
    orders = Orders(server)
    lost = orders.run("segment@1.0.0", script="sleep 600")
    scene.runs(lost)
    scene.leave()
    other = scene.beside("lab-gpu-02")
    other.until(lambda: other.view(lost) is not None, "that another has it")
    scene.start()
    scene.ended(lost)
    server.client.update_run(lost.id, state=RunState.CANCELLED)
    other.close()
    outlives, released = (orders.run(f"{name}@1.0.0", script="sleep 600") for name in ("embed", "caption"))
    scene.runs(outlives, released)
    scene.leave()
    scene.start()
    scene.until(lambda: (view := scene.view(outlives)) is not None and view.adopted, "the adoption")
    scene.runs(outlives, released)
    scene.control.pause()
    scene.control.release(released.id, 1)
    scene.ended(released)
    scene.until(lambda: scene.control.snapshot().to_deliver == 0, "that the server has it back")


def undelivered(scene: Scene, server: ServerThread) -> None:
    """A run that ends after the server has gone."""
    orders = Orders(server)
    train = orders.run("train@2.1.0", "local://train", ram_mb=64)
    ending = orders.run("embed@0.3.1", script="""sleep 4; echo '{"vectors": 4096}' >$GYOZA_OUTPUT_JSON""")
    scene.runs(train, ending)
    scene.until(lambda: all(map(scene.told, (train, ending))), "the starts told")
    server.stop()
    scene.ended(ending)
    scene.until(lambda: scene.control.snapshot().down_since is not None, "the server's silence")


def gone(scene: Scene, server: ServerThread) -> None:
    server.stop()
    scene.until(lambda: scene.control.snapshot().down_since is not None, "the server's silence")
    scene.until(lambda: scene.control.snapshot().next_try_s > 1, "a countdown")


def counting(scene: Scene, server: ServerThread) -> None:
    """One run that goes on and one that ended, on a machine without Docker."""
    orders = Orders(server)
    done = orders.run("count@1.0.0", "local://count")
    scene.until(lambda: (view := scene.view(done)) is not None and view.acked and view.cleaned, "the end")
    goes_on = orders.run("count@1.0.1", "local://count", {"mode": "wait"})
    scene.until(lambda: scene.percent(goes_on) == 60 and scene.told(goes_on), "60 percent")
    now = scene.control.snapshot
    scene.until(lambda: now().to_deliver == 0 and now().link.queued == 0, "that the server has heard all")
    scene.until(lambda: all(view.server_state == RunState.RUNNING for view in now().runs), "that it says so")


_OPEN: Final[list[socket.socket]] = []


def _hanging_registry() -> int:
    """A port that takes connections and says nothing."""
    silent = socket.create_server(("127.0.0.1", 0))
    _OPEN.append(silent)
    return int(silent.getsockname()[1])


@dataclass(frozen=True)
class Setting:
    act: Callable[[Scene, ServerThread], None] = idle
    gpus: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    timings: Timings | None = None
    key: str = KEY
    server: str = "there"
    """there, never, named (another worker has the name)."""
    docker: str | None = None
    """Another engine's address."""


_HASTY: Final = Timings(lease_s=3, grace_s=1, heartbeat_s=1, failover_s=1)
"""Of a server that soon gives a run of a worker that is away to another."""
SCENES: Final[dict[str, Setting]] = {
    "busy": Setting(busy, gpus=2),
    "idle": Setting(),
    "family": Setting(family, gpus=2),
    "queued": Setting(queued, gpus=2),
    "gpus8": Setting(some, gpus=8, settings={"max_runs": 8}),
    "shared": Setting(shared, gpus=3),
    "paused": Setting(paused),
    "draining": Setting(draining),
    "fates": Setting(fates, gpus=2, settings={"away_s": 3}, timings=_HASTY),
    "offline": Setting(gone),
    "undelivered": Setting(undelivered, gpus=2),
    "never": Setting(never, server="never", gpus=2),
    "unauthorized": Setting(key="not-the-key"),
    "name_held": Setting(server="named"),
    "docker_down": Setting(docker="unix:///run/no-docker-here.sock"),
    "disk_full": Setting(settings={"min_free_mb": 50_000_000}),
    "counting": Setting(counting, docker="unix:///run/no-docker-here.sock"),
}
