"""A GPU that others use too: what they have of it is given to no run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gyoza_tui.models.states import RunState
from tests.blackbox.house import House, op_processes
from tests.commands import installed
from tests.waiting import until
from tests.worker.test_hardware import build


def test_memory_that_another_program_uses_is_not_offered(tmp_path: Path) -> None:
    table = tmp_path / "table"
    table.touch()
    stub = {"LD_LIBRARY_PATH": str(build(tmp_path / "nvml")), "NVML_STUB_TABLE": str(table)}
    stub |= {"NVML_STUB_GPUS": "1", "NVML_STUB_MEMORY": "0", "NVML_STUB_TOTAL": "81920"}
    with House(tmp_path) as house:
        image = house.op("sleep", sys.executable, "-c", "import time; time.sleep(600)")
        worker = house.worker(2, wait=True, **stub)
        first = house.client.create_run(image, constraints={"vram_mb": 40_000})
        house.until_state(first, RunState.RUNNING)

        def processes() -> list[int]:
            return [one.pid for one in op_processes(worker) if any("time.sleep(600)" in part for part in one.cmdline())]

        until(processes, "its process runs")
        ours = [f"0 {pid} 30000" for pid in processes()]
        table.write_text("\n".join([*ours, f"0 {os.getpid()} 23552"]))

        def foreign_mb() -> int:
            return house.client.get_worker(worker.id).resources.gpus[0].foreign_mb

        until(lambda: foreign_mb() > 0, "the server knows of it")
        assert foreign_mb() == 23552, "without what the run uses of its own part"
        assert house.client.get_worker(worker.id).free.gpus[0].vram_mb == 81920 - 40_000 - 23552
        second = house.client.create_run(image, constraints={"vram_mb": 20_000})
        waits = house.client.get_run(second.id)
        assert waits.state is RunState.PENDING
        assert waits.placement == f"waits for GPU 0 of worker {worker.id}: other programs use 23552 MB of it"
        state_dir = {"GYOZA_STATE_DIR": str(tmp_path / "state")}
        flags = ("--server", house.url, "--worker-id", worker.id)
        checked = installed(tmp_path, "check", *flags, env=worker.environment | state_dir).stdout
        assert "other programs use 23 GB of GPU 0: " in checked, checked
        assert f"(pid {os.getpid()}, " in checked
        assert not any(f"(pid {line.split()[1]}, " in checked for line in ours)
        for run in (first, second):
            house.client.update_run(run.id, state=RunState.CANCELLED)
        house.until_free(worker)
