"""The steps of a run, in words and signs."""

from __future__ import annotations

import math

from textual.content import Content

from gyoza_tui.models import steps
from gyoza_tui.models.limits import MIB
from gyoza_tui.ui.format import UNKNOWN, duration, part_of, took
from gyoza_tui.ui.outside_text import one_line
from gyoza_tui.ui.run.phases import LOOKS
from gyoza_tui.ui.standstill import what_it_waits_for
from gyoza_tui.worker.view.snapshot import Outcome, Phase, PullProgress, RetryNotice, RunView, StepView


def step_word(name: str) -> str:
    """As `steps.step_word`, safe to show."""
    return one_line(steps.step_word(name)).plain


def current_step(view: RunView) -> StepView | None:
    """The step that it is in, or ended in; without success the one that was not done."""
    begun = [step for step in view.steps if step.began_at is not None]
    if view.outcome not in (None, Outcome.COMPLETED):
        return steps.ended_in(begun)
    return begun[-1] if begun else None


def sign(view: RunView, step: StepView) -> Content:
    """Whether it is done, under way or to come; where the run ended without success, how."""
    outcome, here = view.outcome, step is current_step(view)
    if here and outcome not in (None, Outcome.COMPLETED):
        look = LOOKS[Phase[outcome.name]]
        return Content.styled(look.glyph, look.style)
    if here and step.ended_at is None and outcome is None:
        return Content("►")
    return Content("·" if step.began_at is None else "✓")


def next_try(again: RetryNotice, now: float) -> str:
    """When what went wrong is tried again; `now` in UTC seconds."""
    left = math.ceil(again.at - now)
    return f"again in {left} s" if left > 0 else "trying again"


def pulled(pull: PullProgress) -> tuple[str, str]:
    """How many layers of all, and how many bytes: `3/8`, `120/400M`."""
    total = None if pull.bytes_total is None else pull.bytes_total / MIB
    return f"{pull.layers_done}/{pull.layers_total or UNKNOWN}", part_of(pull.bytes_done / MIB, total)


def steps_line(view: RunView, now: float, cells: int) -> Content:
    """As much of all its steps as goes into so many cells; `now` in UTC seconds."""
    here = current_step(view)
    signs = [sign(view, step) for step in view.steps]
    words = [step_word(step.name) for step in view.steps]
    where = _where(view, here, now)
    between = "  " if view.steps and where else ""
    forms = (
        Content(" ").join(
            Content.assemble(sign, where if step is here else _with_time(word, step))
            for sign, word, step in zip(signs, words, view.steps, strict=True)
        ),
        Content(" ").join(
            Content.assemble(sign, where if step is here else word)
            for sign, word, step in zip(signs, words, view.steps, strict=True)
        ),
        Content.assemble(*signs, between, where),
        Content(where),
        Content.assemble(*signs),
    )
    return next((form for form in forms if form.cell_length <= cells), Content())


def _where(view: RunView, here: StepView | None, now: float) -> str:
    if here is None or here.began_at is None:
        return ""
    time = took(here.ended_at - here.began_at) if here.ended_at is not None else duration(now - here.began_at)
    doing = " {} layers {}".format(*pulled(view.pull)) if view.pull is not None else ""
    doing = f" {waits}" if (waits := what_it_waits_for(view)) else doing
    doing = f" {next_try(view.again, now)}" if view.again is not None else doing
    return f"{step_word(here.name)}{doing} {time}"


def _with_time(word: str, step: StepView) -> str:
    if step.began_at is None or step.ended_at is None:
        return word
    return f"{word} {took(step.ended_at - step.began_at)}"
