"""How long the snapshot takes that a screen asks for twice a second: p99, with 32 runs and 8 GPUs.

Between two snapshots one run changes, as in a worker at work.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from bench.report import report
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.hardware import GpuInfo, GpuSample, HardwareSample
from gyoza_tui.models.runs import EventReport, OpRun
from gyoza_tui.models.states import EventType
from gyoza_tui.settings import Settings
from gyoza_tui.worker.runner import Worker

RUNS: Final = 32
GPUS: Final = 8
BOUND_US: Final = 200.0


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    with tempfile.TemporaryDirectory() as home:
        worker = Worker(
            Settings(worker_id="bench", state_dir=Path(home), server_url="http://127.0.0.1:9", max_runs=RUNS),
            backends={},
        )
        keys = _fill(worker)
        taken, waited = [], []
        for number in range(count):
            key = keys[number % RUNS]
            worker.parts.journal.events(key, [EventReport(type=EventType.PROGRESS, msg=number % 100)])
            began, used = time.perf_counter(), time.thread_time()
            worker.control.snapshot()
            taken.append((time.thread_time() - used) * 1e6)
            waited.append((time.perf_counter() - began) * 1e6)
        worker.close()
    detail = (
        f"{count} snapshots of {RUNS} runs and {GPUS} GPUs, in processor time: median {median(taken):.0f} µs; "
        f"by the wall clock, other processes included: median {median(waited):.0f} µs, p99 {_p99(waited):.0f} µs"
    )
    report("snapshot", detail, _p99(taken), BOUND_US, at_most=True, unit=" µs")


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


def _fill(worker: Worker) -> list[int]:
    """Runs at work, each in the fourth of six steps, and a reading of the machine."""
    parts = worker.parts
    keys = []
    for number in range(RUNS):
        wants = Constraints(gpu_id=number % GPUS, vram_mb=1000)
        run = OpRun(id=f"run-{number}", image="train:1", attempt=1, lease="l", constraints=wants, inputs={"rate": 0.1})
        row = parts.journal.take("s", run, "docker")
        parts.context.add_running_op(run.id, run.image, run.inputs)
        parts.context.set_run_state(run.id, "RUNNING")
        for step in ("prepare_inputs", "pull_latest_image", "start_oprun", "run_container"):
            parts.journal.begin_step(row.key, step)
        keys.append(row.key)
    gpus = tuple(GpuSample(GpuInfo(index, None, "A100", 81920), 97.0, 61000) for index in range(GPUS))
    parts.history.add(HardwareSample(SystemClock().boot(), 43.0, 32, 14.0, 65536, 31744, gpus))
    return keys


if __name__ == "__main__":
    main()
