"""A run in words: its time, why it failed, what it left."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gyoza_tui.cli.terminal import brief, duration
from gyoza_tui.models.failures import Failure
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.states import OP_EVENTS, EventType, RunState

if TYPE_CHECKING:
    from gyoza_tui.models.definitions import OpSpec
    from gyoza_tui.models.runs import Event, OpRun

_SPEC_SHOWN = 400
"""Characters of a command, or an environment."""
_NOTE_SHOWN = 200
"""Characters of a note after which no further output is added."""
STYLES: dict[RunState, str] = {
    RunState.PENDING: "dim",
    RunState.ASSIGNED: "cyan",
    RunState.RUNNING: "cyan",
    RunState.COMPLETED: "green",
    RunState.FAILED: "red",
    RunState.CANCELLED: "yellow",
}


def as_json(run: OpRun) -> dict[str, Any]:
    """As the server tells it, but for its lease: that is the right to report on it, and its worker's alone."""
    return run.model_dump(mode="json", exclude={"lease"})


def failure(events: list[Event]) -> Failure | None:
    """Why the attempt with these events failed; None when it did not, or nobody said."""
    from pydantic import ValidationError

    for event in reversed(events):
        if event.type is EventType.FAILED:
            try:
                return Failure.model_validate(event.payload)
            except ValidationError:
                return None
    return None


def asked_for(spec: OpSpec) -> dict[str, str | None]:
    """What a run or a definition asks for beside its image, by a short word each; None where it does not."""
    env, attempts = spec.env | spec.secret_env, spec.retry_policy.max_attempts
    return {
        "command": brief(spec.command, _SPEC_SHOWN) if spec.command else None,
        "env": brief(env, _SPEC_SHOWN) if env else None,
        "volumes": brief(spec.volumes, _SPEC_SHOWN) if spec.volumes else None,
        "needs": _needs(spec),
        "timeout": duration(spec.timeout_s) if spec.timeout_s else None,
        "retries": f"up to {attempts} attempts" if attempts > 1 else None,
        "topic": spec.event_delivery.topic or None,
        "rights": None if spec.may_submit is MaySubmit.NO else f"may_submit: {spec.may_submit}",
    }


def _needs(spec: OpSpec) -> str | None:
    wanted = spec.constraints
    amounts = (
        ("cpu {}", wanted.cpu),
        ("ram {} MB", wanted.ram_mb),
        ("vram {} MB", wanted.vram_mb),
        ("gpu {}", wanted.gpu_id),
    )
    words = [text.format(amount) for text, amount in amounts if amount is not None]
    return ", ".join(words + [f"tag {tag}" for tag in spec.tags]) or None


def event(entry: Event) -> str:
    """One entry of a timeline."""
    words = entry.type.value
    if entry.msg is not None:
        words += f" {entry.msg:g}" if isinstance(entry.msg, float) else f" {entry.msg}"
    if entry.type is EventType.PROGRESS:
        words += "%"
    if entry.type in OP_EVENTS and entry.payload:
        words += f" {brief(entry.payload, 200)}"
    return words


def note(run: OpRun) -> str:
    """What a person wants to know next: why it failed or was cancelled, why it waits, or its outputs."""
    match run.state:
        case RunState.FAILED:
            fault = failure(run.events)
            return _why(fault, run.events) if fault else run.execution_summary.error_message or ""
        case RunState.COMPLETED:
            return _listed(f"{name}={_rough(value)}" for name, value in run.outputs.items())
        case RunState.PENDING:
            return run.placement or ""
        case RunState.CANCELLED:
            return run.execution_summary.error_message or ""
        case _:
            return waits_for(run)


def waits_for(run: OpRun) -> str:
    """What keeps a run at work from going on; empty where nothing does."""
    if run.waiting is None:
        return ""
    return f"waits for {run.waiting.left:,} of {run.waiting.of:,} children"


def _why(fault: Failure, events: list[Event]) -> str:
    errors = [entry.msg for entry in events if entry.type is EventType.ERROR]
    cause = fault.cause(errors[-1] if errors else None)
    return f"{fault.words}: {cause}" if cause else fault.words


def _listed(words: Iterable[str]) -> str:
    """As many of them as are looked at in a line."""
    listed = ""
    for word in words:
        if len(listed) >= _NOTE_SHOWN:
            return f"{listed}, …"
        listed += f", {word}" if listed else word
    return listed


def _rough(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else brief(value, 40)


def run_time(run: OpRun) -> str:
    """How long the current attempt took, or has been going on."""
    if run.execution_summary.duration_ms is not None:
        return duration(run.execution_summary.duration_ms / 1000)
    current = [attempt for attempt in run.attempts if attempt.attempt == run.current_attempt]
    begin = run.execution_summary.started_at or (current[0].started_at if current else None)
    if begin is None:
        begin = next((event.t for event in run.events if event.type is EventType.STARTED), None)
    if begin is None:
        return "-"
    end = (current[0].finished_at if current else None) or datetime.now(UTC)
    return duration((end - begin).total_seconds())
