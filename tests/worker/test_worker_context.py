"""The reference's registry: shapes, defaults, and use from many threads."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
from dataclasses import fields

import pytest

from gyoza_tui.worker import worker_context as module
from gyoza_tui.worker.worker_context import GPU, Resources, RunningOp, WorkerContext, types


def test_fields_are_the_references() -> None:
    assert [f.name for f in fields(GPU)] == ["id", "vram_mb", "tags"]
    assert [f.name for f in fields(Resources)] == ["cpu_cores", "ram_mb", "gpus"]
    assert [f.name for f in fields(RunningOp)] == ["id", "image", "inputs", "constraints", "state"]
    assert [f.name for f in fields(WorkerContext)] == ["worker_id", "resources", "tags", "running_ops"]
    assert (Resources().cpu_cores, Resources().ram_mb, Resources().gpus) == (0, 0, [])
    assert str(inspect.signature(WorkerContext.add_running_op)).startswith("(self, oprun_id")
    assert types.WorkerContext is WorkerContext


def test_the_payload_is_the_heartbeats() -> None:
    context = WorkerContext("w", Resources(4, 1024, [GPU(0, 24_000, ["a100"])]), ["x"])
    context.add_running_op("r", "busybox", {"a": 1})
    context.set_run_state("r", "RUNNING")
    assert json.loads(json.dumps(context.to_heartbeat_payload())) == {
        "worker_id": "w",
        "resources": {"cpu_cores": 4, "ram_mb": 1024, "gpus": [{"id": 0, "vram_mb": 24_000, "tags": ["a100"]}]},
        "tags": ["x"],
        "running_ops": [{"id": "r", "image": "busybox", "inputs": {"a": 1}, "constraints": {}, "state": "RUNNING"}],
    }


def test_states_are_those_last_told() -> None:
    context = WorkerContext()
    assert context.get_run_state("r") is None
    assert not context.is_run_cancelled("r")
    context.set_run_state("r", "CANCELLED")
    context.add_running_op("r", "i", {})
    assert context.get_run_state("r") is None
    context.set_run_state("r", "CANCELLED")
    assert context.is_run_cancelled("r")
    context.remove_running_op("r")
    context.remove_running_op("r")
    assert context.running_ops == []


def test_many_threads_lose_nothing() -> None:
    context = WorkerContext()

    def work(n: int) -> None:
        for i in range(200):
            context.add_running_op(f"{n}-{i}", "i", {})
            context.to_heartbeat_payload()
            if i % 2:
                context.remove_running_op(f"{n}-{i}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(context.running_ops) == 400


def test_importing_detects_nothing_and_the_context_is_one() -> None:
    code = """
import sys
import gyoza_tui.worker.worker_context as m
assert not {"pynvml", "psutil", "gyoza_tui.settings"} & sys.modules.keys(), sys.modules.keys()
from gyoza_tui.worker.worker_context import worker_context, detect_resources
assert worker_context is m.worker_context and worker_context.worker_id == "me" and worker_context.tags == ["a", "b"]
assert worker_context.resources.cpu_cores > 0 and detect_resources().ram_mb > 0
"""
    env = {"GYOZA_WORKER_ID": "me", "GYOZA_TAGS": "a,b", "HOME": "/nowhere", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=60)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = module.nothing
