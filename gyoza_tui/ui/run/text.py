"""All that is known of one attempt, here and at the server, as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from textual.content import Content

from gyoza_tui.models.runs import Event, OpAttempt
from gyoza_tui.models.states import EventType
from gyoza_tui.models.timeline import folded
from gyoza_tui.ui.format import UNKNOWN, duration, took
from gyoza_tui.ui.outside_text import one_line, plain_line
from gyoza_tui.ui.run.steps import current_step, next_try, sign, step_word
from gyoza_tui.ui.standstill import frozen_by, what_it_waits_for
from gyoza_tui.worker.view.control import LogLine, RunDetails
from gyoza_tui.worker.view.snapshot import Exit, Outcome, Phase, RunView, StepView

_JSON_LINES: Final = 200
_JSON_LINE: Final = 2000
_EVENTS: Final = 200
_PAYLOAD: Final = 200
_FACT: Final = 200
_STEP: Final = 10
_TOOK: Final = 7


def run_text(
    details: RunDetails, tail: Sequence[LogLine], now: float, zone: tzinfo | None, children: Sequence[Content] = ()
) -> Content:
    """`now` in UTC seconds; `tail` is how its log ends, when that says why."""
    sections = [
        _section("Run", _facts(details, now, zone)),
        _section("Why it failed", _why(details.view, tail)),
        _section("Children", children),
        _section("Steps", [_step(step, details.view, now, zone) for step in details.view.steps]),
    ]
    run = details.server
    if run is None:
        sections.append(_section("Inputs", [one_line(details.view.inputs)] if details.view.inputs else []))
    else:
        sections += [
            _section("Inputs", json_lines(run.inputs) if run.inputs else []),
            _section("Outputs", json_lines(run.outputs) if run.outputs else []),
            _section("Attempts", [_attempt(attempt, details.view) for attempt in run.attempts]),
            _section("Events", _events(run.events, details.view, zone)),
        ]
    return Content("\n\n").join(section for section in sections if section)


def json_lines(value: object) -> list[Content]:
    """Pretty, cut where it is long, with how much is left out."""
    lines = json.dumps(value, indent=2, ensure_ascii=False, default=str).split("\n")
    shown = [_cut(line, _JSON_LINE) for line in lines[:_JSON_LINES]]
    left = len(lines) - len(shown)
    return [*shown, Content.styled(f"… +{left:,} lines", "dim")] if left else shown


def _section(title: str, lines: Sequence[Content] | Iterator[Content]) -> Content:
    """Empty without lines."""
    body = [Content.assemble("  ", line) for line in lines]
    return Content("\n").join([Content.styled(title, "bold $text-accent"), *body]) if body else Content()


def _facts(details: RunDetails, now: float, zone: tzinfo | None) -> Iterator[Content]:
    view = details.view
    yield _fact("id", one_line(view.run_id), f"  attempt {view.attempt}")
    yield _fact("image", _cut(view.image, _FACT), f"  on {view.backend}")
    yield _fact("claimed", _clock(view.claimed_at, zone), f"  {duration(now - view.claimed_at)} ago")
    if view.parent_id is not None:
        yield _fact("parent", _cut(view.parent_id, _FACT))
    yield _fact("here", view.phase, _marks(view, zone))
    yield _fact("server", *_server(details))
    for refused in details.refused:
        yield _fact("refused", _cut(refused, _FACT))


def _server(details: RunDetails) -> tuple[str | Content, ...]:
    run = details.server
    if run is None:
        known = details.view.server_state or "?"
        return known, "  not asked now: ", one_line(details.trouble or "no reason known")
    placed = f"  worker {run.worker_id}" if run.worker_id else ""
    return run.state, _cut(placed, _FACT), f"  attempt {run.current_attempt}"


def _marks(view: RunView, zone: tzinfo | None) -> str:
    marks = [mark for mark, holds in (("adopted", view.adopted), ("held: of another server", view.held)) if holds]
    if view.phase is Phase.FROZEN:
        marks.append(frozen_by(view, zone))
    if view.waits is not None:
        marks.append(f"{what_it_waits_for(view)} since {_clock(view.waits.since, zone)}")
    if view.intent_note and view.outcome is None:
        marks.append(plain_line(view.intent_note))
    return f"  {' · '.join(marks)}" if marks else ""


def _why(view: RunView, tail: Sequence[LogLine]) -> Iterator[Content]:
    if view.outcome is not Outcome.FAILED:
        return
    known = view.outcome_note or "no reason known"
    cause = f": {view.last_line}" if view.last_line and view.last_line not in known else ""
    yield Content.assemble(_cut(known, _JSON_LINE), _cut(cause, _FACT)).stylize("$text-error")
    if view.exit is not None and (more := _exit_words(view.exit, view.outcome_note)):
        yield Content(more)
    for line in tail:
        yield Content.assemble(("│ ", "dim"), _cut(line.data.decode(errors="replace"), _JSON_LINE))


def _exit_words(ended: Exit, known: str) -> str:
    """What the end itself adds to the reason that is `known`."""
    code = f"exit {ended.code}" if ended.code is not None else "exit code unknown"
    words = (code, ended.signal, "killed for memory" if ended.oom else None, ended.not_executable)
    return ", ".join(
        plain_line(word) for word in (*words, ended.machine_fault, ended.warning) if word and word not in known
    )


def _step(step: StepView, view: RunView, now: float, zone: tzinfo | None) -> Content:
    name = f"{step_word(step.name):<{_STEP}}"
    if step.began_at is None:
        return Content.styled(f"· {name}", "dim")
    under_way = step.ended_at is None and view.outcome is None
    time = UNKNOWN if step.ended_at is None else took(step.ended_at - step.began_at)
    time = duration(now - step.began_at) if under_way else time
    line = Content.assemble(sign(view, step), f" {name} {time:>{_TOOK}}", (f"  {_clock(step.began_at, zone)}", "dim"))
    if under_way and view.again is not None and step is current_step(view):
        wrong = f"  {next_try(view.again, now)}: {view.again.why}"
        line = Content.assemble(line, _cut(wrong, _JSON_LINE).stylize("$text-warning"))
    return line


def _events(events: Sequence[Event], view: RunView, zone: tzinfo | None) -> Iterator[Content]:
    """An event that says what the section on its failure says is named only."""
    lines = list(folded(events))
    if (left := len(lines) - _EVENTS) > 0:
        yield Content.styled(f"… {left:,} earlier ones", "dim")
    for first, event in lines[-_EVENTS:]:
        stated = event.type is EventType.FAILED and _same_reason(event, view)
        said = "" if event.msg is None or stated else f"  {event.msg}"
        if first is not event:
            said += f", since {first.msg} at {first.t.astimezone(zone):%H:%M:%S}"
        shown = event.payload and not stated
        payload = f"  {json.dumps(event.payload, ensure_ascii=False, default=str)}" if shown else ""
        at = event.t.astimezone(zone).strftime("%H:%M:%S")
        yield Content.assemble((at, "dim"), f" {event.type:<9}", _cut(said, _PAYLOAD), _cut(payload, _PAYLOAD))


def _same_reason(event: Event, view: RunView) -> bool:
    reason = (event.payload or {}).get("reason")
    return view.outcome is Outcome.FAILED and isinstance(reason, str) and view.outcome_note.startswith(reason)


def _attempt(attempt: OpAttempt, view: RunView) -> Content:
    """An error that says what the section on its failure says is left out."""
    summary = attempt.execution_summary
    ran = "" if summary.duration_ms is None else f"  {took(summary.duration_ms / 1000)}"
    worker = f"  {summary.worker_id}" if summary.worker_id else ""
    known = summary.error_message or ""
    error = f"  {known}" if known and not (view.last_line and view.last_line in known) else ""
    return Content.assemble(f"{attempt.attempt}  {attempt.state}{ran}", _cut(f"{worker}{error}", _PAYLOAD))


def _fact(name: str, *parts: str | Content) -> Content:
    return Content.assemble((f"{name:<9}", "dim"), *parts)


def _cut(text: str, length: int) -> Content:
    return one_line(text if len(text) <= length else f"{text[:length]}… +{len(text) - length:,}")


def _clock(utc: float, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(utc, UTC).astimezone(zone).strftime("%H:%M:%S")
