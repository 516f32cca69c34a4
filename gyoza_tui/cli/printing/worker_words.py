"""A worker on this machine, in lines for a person and as data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from gyoza_tui.cli import terminal
from gyoza_tui.models.steps import step_word
from gyoza_tui.models.text import visible
from gyoza_tui.ui import why_nothing_runs
from gyoza_tui.ui.format import part_of, percent, size
from gyoza_tui.ui.why_nothing_runs import Cause
from gyoza_tui.worker.state_dir import holder
from gyoza_tui.worker.view.snapshot import RunView, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gyoza_tui.models.hardware import GpuSample
    from gyoza_tui.worker.control_socket.client import RemoteControl

_NAME: Final = 10


def report(control: RemoteControl, done: str) -> None:
    """Print what was done, and what the worker is now."""
    terminal.out_if_read(visible(f"{control.root.name}: {done}; {now(control)}"))


def now(control: RemoteControl) -> str:
    """What it is now, in a few words."""
    contact, snapshot = control.contact(), control.snapshot()
    if contact.ended is not None:
        return contact.ended
    return f"now {snapshot.state}, {_runs(snapshot)}, {_counted(snapshot.to_deliver, 'report')} to deliver"


def lines(control: RemoteControl) -> list[str]:
    """All that a person wants at a glance."""
    snapshot, hello = control.snapshot(), control.hello
    facts = [
        ("worker", f"{snapshot.worker_id}: {_state(control)}"),
        *(("why", reason) for reason in _reasons(snapshot)),
        ("process", f"{holder.holder(control.root)}, gyoza-tui {hello.version}"),
        ("server", f"{snapshot.server_url}: {_server(snapshot)}"),
        *(("backend", f"{name}: {trouble or 'ready'}") for name, trouble in snapshot.backends.items()),
        ("disk", _disk(snapshot)),
        *(("gpu", _gpu(gpu, snapshot)) for gpu in (snapshot.hardware.gpus if snapshot.hardware else ())),
        ("failures", f"{snapshot.failures.count} not looked at"),
        ("deliver", _counted(snapshot.to_deliver, "report")),
        ("runs", _runs(snapshot)),
    ]
    return [f"{name:<{_NAME}}{visible(words)}" for name, words in facts] + list(_run_lines(snapshot))


def as_json(control: RemoteControl) -> dict[str, Any]:
    snapshot, contact, hello = control.snapshot(), control.contact(), control.hello
    since = holder.since(control.root)
    return {
        "worker": snapshot.worker_id,
        "pid": hello.pid,
        "since": None if since is None else _moment(since.timestamp()),
        "version": hello.version,
        "state": snapshot.state.value,
        "takes_runs": takes_runs(control),
        "why": list(_reasons(snapshot)),
        "silent_s": round(contact.silent_s, 1),
        "ended": contact.ended,
        "max_runs": snapshot.max_runs,
        "free_slots": snapshot.free_slots,
        "server": {
            "url": snapshot.server_url,
            "answers": snapshot.link.registered and snapshot.link.trouble is None,
            "trouble": snapshot.link.trouble or snapshot.link.name_held_now,
            "latency_ms": snapshot.link.latency_ms,
            "queued": snapshot.link.queued,
        },
        "backends": snapshot.backends,
        "disk": {"free_mb": snapshot.disk_free_mb, "trouble": snapshot.disk, "warning": snapshot.disk_warning},
        "gpus": [_gpu_json(gpu, snapshot) for gpu in (snapshot.hardware.gpus if snapshot.hardware else ())],
        "failures": snapshot.failures.count,
        "to_deliver": snapshot.to_deliver,
        "runs": [_run_json(view) for view in snapshot.runs],
    }


def changing(control: RemoteControl) -> object:
    """Differs whenever there is something new to print."""
    snapshot = control.snapshot()
    runs = [(view.run_id, view.attempt, view.phase) for view in snapshot.runs]
    return _state(control), [reason.cause for reason in why_nothing_runs.why_nothing_runs(snapshot, None)], runs


def takes_runs(control: RemoteControl) -> bool:
    contact = control.contact()
    return contact.ended is None and contact.refused is None and why_nothing_runs.takes_runs(control.snapshot())


def _state(control: RemoteControl) -> str:
    contact, snapshot = control.contact(), control.snapshot()
    if contact.ended is not None:
        return f"has ended: {contact.ended}"
    if contact.refused is not None:
        return f"cannot be looked at: {contact.refused}"
    taken = max(0, snapshot.max_runs - snapshot.free_slots)
    return f"{snapshot.state}, {taken} of {_counted(snapshot.max_runs, 'slot')} taken"


def _reasons(snapshot: Snapshot) -> Iterator[str]:
    for reason in why_nothing_runs.why_nothing_runs(snapshot, None):
        if reason.cause is not Cause.WAITING or not why_nothing_runs.something_runs(snapshot):
            yield f"{reason.cause}: {reason.text}"


def _server(snapshot: Snapshot) -> str:
    link = snapshot.link
    if trouble := link.trouble or link.name_held_now:
        return trouble
    if link.beat_at is None:
        return "asked for the first time"
    queued = "" if link.queued is None else f", {link.queued} queued"
    return f"answers in {link.latency_ms or 0:.0f} ms{queued}"


def _disk(snapshot: Snapshot) -> str:
    return snapshot.disk or snapshot.disk_warning or f"{size(snapshot.disk_free_mb)} free"


def _gpu(gpu: GpuSample, snapshot: Snapshot) -> str:
    trouble = snapshot.gpu_trouble.get(gpu.info.index)
    memory = part_of(gpu.memory_used_mb, gpu.info.memory_total_mb)
    more = f"; not offered: {trouble}" if trouble else ""
    return f"{gpu.info.index} {gpu.info.name or 'GPU'}: {percent(gpu.util_percent)} busy, memory {memory}{more}"


def _gpu_json(gpu: GpuSample, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "index": gpu.info.index,
        "name": gpu.info.name,
        "util_percent": gpu.util_percent,
        "memory_used_mb": gpu.memory_used_mb,
        "memory_total_mb": gpu.info.memory_total_mb,
        "temperature_c": gpu.temperature_c,
        "power_w": gpu.power_w,
        "trouble": snapshot.gpu_trouble.get(gpu.info.index),
    }


def _runs(snapshot: Snapshot) -> str:
    return _counted(sum(view.outcome is None for view in snapshot.runs), "run")


def _run_lines(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.runs:
        rows = [_row(view, snapshot.utc) for view in snapshot.runs]
        yield from terminal.table_lines(
            ["STATE", "RUN", "OP", "PROGRESS", "STEP", "TIME"], rows, elastic={"OP", "STEP"}
        )


def _row(view: RunView, now_s: float) -> terminal.Row:
    took = terminal.duration((view.outcome_at or now_s) - view.claimed_at)
    progress = "-" if view.progress is None else f"{view.progress.percent:.0f}%"
    cells = (str(view.phase), view.run_id, view.op_name, progress, step_word(view.step) or "-", took)
    return [(cell, "") for cell in cells]


def _run_json(view: RunView) -> dict[str, Any]:
    return {
        "id": view.run_id,
        "attempt": view.attempt,
        "op": view.op_name,
        "image": view.image,
        "backend": view.backend,
        "state": view.phase.value,
        "step": view.step,
        "progress": None if view.progress is None else view.progress.percent,
        "claimed_at": _moment(view.claimed_at),
        "started_at": None if view.started_at is None else _moment(view.started_at),
        "gpu": view.gpu,
        "note": view.outcome_note or view.intent_note,
    }


def _moment(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
