"""`workers`: who is there, what is free, what runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza_tui.cli.completion.candidates import complete_worker
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import CliError
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.cli.terminal import Row, Times
    from gyoza_tui.models.workers import GpuReport, ResourcesReport, WorkerView

EXAMPLES: Final = examples(
    "gyoza-tui workers",
    "gyoza-tui workers gpu-01",
    "gyoza-tui workers --json | jq -r '.[] | select(.state == \"lost\") | .worker_id'",
)
_AMOUNTS: Final = ("CPU", "RAM GB", "GPU", "VRAM GB", "RUNS")
"""Of each the table shows what is free of what there is."""
_STYLES: Final = {"claiming": "green", "paused": "yellow", "draining": "yellow", "silent": "red", "lost": "red"}


@with_connection
def workers(
    flags: Connection,
    worker: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKER", help="All about this one.", show_default=False, autocompletion=complete_worker
        ),
    ] = None,
    utc: options.Utc = False,
    as_json: options.AsJson = False,
) -> None:
    """List the workers.

    Their state, what is free of what they have, what runs there, and when they were last heard of.
    """
    from gyoza_tui.cli import connection, terminal

    times = terminal.Times(utc)
    with connection.connected(flags) as at:
        known = sorted(at.client.list_workers(), key=lambda each: each.worker_id)
    found = known if worker is None else [each for each in known if each.worker_id == worker]
    if worker is not None and not found:
        names = ", ".join(each.worker_id for each in known) or "none"
        raise CliError(f"the server knows no worker {visible(worker)}; there are {names}")
    if as_json:
        dumped = [each.model_dump(mode="json") for each in found]
        terminal.out_json(dumped if worker is None else dumped[0])
    elif worker is not None:
        for line in _described(found[0], times):
            terminal.out(line)
    elif not found:
        terminal.say("no worker is known")
    else:
        terminal.table(
            ["STATE", "WORKER", *(f"FREE {what}" for what in _AMOUNTS), "RUNNING", "SEEN"],
            [_row(each, times) for each in found],
            elastic={"WORKER", "RUNNING"},
            expendable=("FREE VRAM GB", "FREE RUNS", "FREE RAM GB", "RUNNING", "SEEN"),
        )
        for each in found:
            if wanted := _wanted(each, times):
                terminal.say(f"{each.worker_id}: {wanted}")
            for name, words in each.trouble.items():
                terminal.say(f"{each.worker_id}: {name}: {words}")


def _wanted(worker: WorkerView, times: Times) -> str:
    """Who wants another state of it than to claim, or than the one in which it is; empty where nobody does."""
    from gyoza_tui.models.workers import WantedAnswer, WorkerState

    wanted = worker.wanted
    if wanted is None or wanted.state == worker.state == WorkerState.CLAIMING:
        return ""
    made_of_it = {
        None: ", which it has not heard of",
        WantedAnswer.OVERRIDDEN: ", overridden at the worker",
    }
    return f"wanted {wanted.state} by {wanted.by} {times.ago(wanted.since)}{made_of_it.get(wanted.answer, '')}"


def _row(worker: WorkerView, times: Times) -> Row:
    from gyoza_tui.cli.connection import short_ids

    all_of, free = worker.resources, worker.free
    running = [op.id for op in worker.running_ops]
    awake = sum(op.waiting is None for op in worker.running_ops)
    return [
        (str(worker.state), _STYLES.get(worker.state, "")),
        (worker.worker_id, ""),
        (f"{free.cpu_cores}/{all_of.cpu_cores}", ""),
        (f"{_gb(free.ram_mb)}/{_gb(all_of.ram_mb)}", ""),
        (f"{_unused(worker)}/{len(all_of.gpus)}" if all_of.gpus else "-", ""),
        (f"{_gb(_vram(free))}/{_gb(_vram(all_of))}" if all_of.gpus else "-", ""),
        ("-" if worker.max_runs is None else f"{max(0, worker.max_runs - awake)}/{worker.max_runs}", ""),
        (" ".join(short_ids(running).values()), ""),
        (times.told(worker.last_seen), "dim"),
    ]


def _unused(worker: WorkerView) -> int:
    """GPUs of which all memory is free."""
    free = {gpu.id: gpu.vram_mb for gpu in worker.free.gpus}
    return sum(free.get(gpu.id) == gpu.vram_mb for gpu in worker.resources.gpus)


def _gb(megabytes: int) -> str:
    return f"{megabytes / 1024:.0f}"


def _vram(resources: ResourcesReport) -> int:
    return sum(gpu.vram_mb for gpu in resources.gpus)


def _described(worker: WorkerView, times: Times) -> Iterator[str]:
    all_of, free = worker.resources, worker.free
    facts = {
        "worker": worker.worker_id,
        "state": str(worker.state),
        "wanted": _wanted(worker, times).removeprefix("wanted "),
        "seen": times.ago(worker.last_seen),
        "host": worker.hostname,
        "version": worker.version,
        "cpu": f"{free.cpu_cores} of {all_of.cpu_cores} cores free",
        "ram": f"{free.ram_mb} of {all_of.ram_mb} MB free",
        "tags": ", ".join(worker.tags),
        "backends": ", ".join(worker.backends),
        "ops": ", ".join(f"local://{op}" for op in worker.ops),
        "reserved": (worker.reserved or "").removeprefix("reserved "),
        "runs": _runs(worker),
    }
    for name, value in facts.items():
        if value:
            yield f"{name:<9}{visible(value)}"
    for name, words in worker.trouble.items():
        yield visible(f"trouble  {name}: {words}")
    left = {gpu.id: gpu.vram_mb for gpu in free.gpus}
    for gpu in all_of.gpus:
        yield f"gpu {gpu.id}: {_gpu(gpu, left.get(gpu.id, 0))}"
    for op in worker.running_ops:
        attempt = f" attempt {op.attempt}" if op.attempt else ""
        phase = (op.phase or "taken on").replace("_", " ")
        if op.waiting is not None:
            phase = f"waiting for {op.waiting.left} of {op.waiting.of}"
        yield visible(f"run {op.id}{attempt}: {phase}, {op.image}")


def _runs(worker: WorkerView) -> str:
    waiting = sum(op.waiting is not None for op in worker.running_ops)
    limit = "" if worker.max_runs is None else f" of at most {worker.max_runs}"
    return f"{len(worker.running_ops) - waiting}{limit}" + (
        f", {waiting} waiting for their children" if waiting else ""
    )


def _gpu(gpu: GpuReport, free_mb: int) -> str:
    others = [f"{gpu.foreign_mb} MB used by others"] if gpu.foreign_mb else []
    return visible(", ".join([f"{free_mb} of {gpu.vram_mb} MB free", *others, *gpu.tags]))
