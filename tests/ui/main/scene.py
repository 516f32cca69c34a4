"""Workers to look at: idle, busy, with GPUs, with a past."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.hardware import GpuInfo, GpuSample, HardwareSample
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.view.run_views import view_of
from gyoza_tui.worker.view.snapshot import (
    Exit,
    Failures,
    Intent,
    Outcome,
    Progress,
    RunView,
    Snapshot,
    StepView,
    Tally,
)
from tests.ui.fake_control import BOOT, NOW, FakeControl, snapshot

STEPS = (
    "prepare_inputs",
    "pull_latest_image",
    "start_oprun",
    "run_container",
    "complete_oprun",
    "cleanup_op_dir",
)


def steps(step: str, began: float) -> tuple[StepView, ...]:
    """Entered one after the other from `began` on, `step` the last of them."""
    here = STEPS.index(step)
    views = [StepView(name, began + i, began + i + 1) for i, name in enumerate(STEPS[:here])]
    return (*views, StepView(step, began + here), *(StepView(name) for name in STEPS[here + 1 :]))


def run_row(key: int, run_id: str, op: str = "classify", version: str | None = "1.0.0", **more: Any) -> RunRow:
    run = OpRun(
        id=run_id,
        image=f"{op}:latest",
        op_definition=op,
        op_version=version,
        attempt=1,
        lease="lease",
        constraints=Constraints(gpu_id=more.pop("gpu", None)),
        parent_id=more.pop("parent", None),
        may_submit=more.pop("may_submit", MaySubmit.NO),
    )
    row = RunRow(key=key, server_id="s", run=run, name=f"gyoza-{run_id}", backend="docker", claimed_at=NOW - 190)
    return row._replace(**more)


def going_on(key: int, run_id: str, op: str = "classify", *, step: str = "run_container", **more: Any) -> RunView:
    names = ("server_state", "held", "adopted", "pull", "progress", "kill_at", "again", "returning")
    view: dict[str, Any] = {"server_state": "RUNNING", "held": False}
    view |= {name: more.pop(name) for name in names if name in more}
    base: dict[str, Any] = {"started_at": NOW - 180}
    row = run_row(key, run_id, op, step=step, **base | more)
    return view_of(row, steps=steps(step, row.claimed_at), **view)


def ended(key: int, run_id: str, outcome: Outcome, note: str, op: str = "train", **more: Any) -> RunView:
    view: dict[str, Any] = {"server_state": None, "seen": outcome is not Outcome.FAILED}
    view |= {name: more.pop(name) for name in ("seen", "server_state", "adopted") if name in more}
    base: dict[str, Any] = {
        "claimed_at": NOW - 11_700,
        "started_at": NOW - 11_690,
        "step": "cleanup_op_dir",
        "outcome": outcome,
        "outcome_note": note,
        "outcome_at": NOW - 310,
        "exit": Exit(0),
        "acked": True,
        "cleaned": True,
    }
    row = run_row(key, run_id, op, **base | more)
    return view_of(row, steps=steps("cleanup_op_dir", row.claimed_at), **view)


def gpu(index: int, util: float | None = 97.0, used_mb: int | None = 61 * 1024, heat: float | None = 71.0) -> GpuSample:
    """Of nobody's processes."""
    watts = None if util is None else 60 + 2 * util
    info = GpuInfo(index, f"uuid-{index}", "NVIDIA A100-SXM4-80GB", 80 * 1024)
    return GpuSample(info, util, used_mb, watts, 400.0, heat, processes=())


def machine(gpus: tuple[GpuSample, ...] = (), **more: Any) -> HardwareSample:
    base = HardwareSample(
        BOOT,
        cpu_percent=43.0,
        cpu_cores=32,
        load_1m=14.0,
        ram_total_mb=64 * 1024,
        ram_used_mb=31 * 1024,
        gpus=gpus,
    )
    return replace(base, **more)


def readings(latest: HardwareSample) -> tuple[HardwareSample, ...]:
    """Two minutes of it, going up and down."""
    waves = [(second * 7 % 61) / 60 for second in range(120)]
    return (
        *(
            replace(
                latest,
                taken_at=BOOT - 120 + second,
                cpu_percent=100 * wave,
                gpus=tuple(replace(one, util_percent=(one.util_percent or 0) * wave) for one in latest.gpus),
            )
            for second, wave in enumerate(waves)
        ),
        latest,
    )


ACTIVE = (
    going_on(
        38,
        "77fe01aa-train",
        "train",
        gpu=1,
        claimed_at=NOW - 41,
        started_at=NOW - 30,
        intent=Intent.CANCEL,
        server_state="CANCELLED",
        progress=Progress(8.0, NOW - 3),
    ),
    going_on(39, "a1b2c3d4-classify", gpu=0, progress=Progress(42.0, NOW - 2, 262.0)),
)
PAST = (
    ended(
        37,
        "93bb10f2-train",
        Outcome.FAILED,
        "oom_killed, exit 137, 64 G asked",
        gpu=1,
        last_line="Killed process 4121 (python3)",
        exit=Exit(137, oom=True),
    ),
    ended(36, "0c4d9e11-embed", Outcome.COMPLETED, "outputs: 3", "embed", gpu=0, claimed_at=NOW - 5000),
    *(
        ended(
            key,
            f"{key * 7919:08x}",
            Outcome.COMPLETED,
            f"outputs: {key % 4}",
            "embed",
            outcome_at=NOW - 600 * (37 - key),
        )
        for key in range(35, 15, -1)
    ),
)


def busy(gpus: int = 2, **more: Any) -> Snapshot:
    """Two runs, one of them being cancelled; two failures nobody has looked at."""
    found = machine(tuple(gpu(i) if i % 2 == 0 else gpu(i, 0.0, 1024, 34.0) for i in range(gpus)))
    base = snapshot(
        runs=ACTIVE,
        free_slots=2,
        hardware=found,
        tally=Tally(completed=35, failed=2),
        failures=Failures(2, NOW - 2 * 3600),
        history_version=1,
    )
    return base._replace(**more)


LOG = [f"step {step}/1000 loss={0.9 / (step + 1):.4f} lr=3e-4".encode() for step in range(412)]


def busy_control(gpus: int = 2, **more: Any) -> FakeControl:
    now = busy(gpus, **more)
    assert now.hardware is not None
    logs = {view.key: LOG for view in (*now.runs, *PAST)}
    return FakeControl(now=now, past=list(PAST), logs=logs, readings=readings(now.hardware))
