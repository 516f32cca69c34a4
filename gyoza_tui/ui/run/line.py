"""A run in a line of the list: which columns there is room for, and what stands in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import tzinfo
from typing import Final, NamedTuple

from textual.content import Content

from gyoza_tui.ui.format import NOT_APPLICABLE, UNKNOWN, clock, duration, percent
from gyoza_tui.ui.outside_text import cut, plain_line
from gyoza_tui.ui.run.phases import FINISHED, LOOKS, WORD_WIDTH
from gyoza_tui.ui.run.server_truth import differing
from gyoza_tui.ui.run.steps import current_step, next_try, pulled, step_word
from gyoza_tui.ui.standstill import frozen_by, what_it_waits_for
from gyoza_tui.ui.widgets.columns import Column, fit
from gyoza_tui.ui.widgets.meter import meter
from gyoza_tui.worker.view.snapshot import Phase, RunView

_STATE: Final = 2 + WORD_WIDTH
_ID: Final = 8
_COLUMNS: Final = (
    Column("STATE", _STATE, _STATE),
    Column("RUN", _ID, _ID, rank=1),
    Column("OP", 9, 24, rank=3, pace=2),
    Column("PROGRESS", 9, 22, rank=2),
    Column("LEFT", 5, 6, rank=8),
    Column("STEP", 14, 24, rank=4),
    Column("GPU", 3, 3, rank=6),
    Column("TIME", 6, 6, rank=5),
    Column("NOTE", 18, 400, rank=7, pace=2),
)
_TITLES: Final = {"STATE": "  STATE"}
"""Where not the column's name: the glyph has none."""
_RIGHT: Final = frozenset({"LEFT", "GPU", "TIME"})
_END: Final = ("PROGRESS", "LEFT", "STEP")
"""Columns that the words on a run's end take together."""
_FAILURE: Final = (*_END, "GPU", "TIME", "NOTE")
"""The same of a failed run, whose reason gets the rest of the line."""
_TOLD_IN: Final = ("NOTE", "STEP", "PROGRESS")
_ROOMY: Final = 110
_PERCENT: Final = 5


class Layout(NamedTuple):
    """How the lines of one list are cut, whatever stands in them."""

    widths: Mapping[str, int]
    gap: int
    zone: tzinfo | None
    ascii_only: bool

    @classmethod
    def of(cls, width: int, zone: tzinfo | None, *, ascii_only: bool) -> Layout:
        gap = 2 if width >= _ROOMY else 1
        return cls(fit(_COLUMNS, width, gap), gap, zone, ascii_only)

    @property
    def told_in(self) -> str | None:
        """The column that says what somebody should know."""
        return next((name for name in _TOLD_IN if name in self.widths), None)

    def titles(self) -> Content:
        cells = (
            _filled(Content(_TITLES.get(name, name)), width, right=name in _RIGHT)
            for name, width in self.widths.items()
        )
        return Content(" " * self.gap).join(cells)


class _Row(NamedTuple):
    """What a line is drawn from."""

    view: RunView
    now: float
    layout: Layout
    branch: str


def run_line(view: RunView, now: float, layout: Layout, branch: str = "") -> Content:
    """`now` in UTC seconds; nothing in the line of a finished run depends on it.

    `branch` joins it to its parent, where that is above it.
    """
    row = _Row(view, now, layout, branch)
    ending = _ending(row)
    widths = layout.widths if ending is None else _joined(layout, _FAILURE if _failed(view) else _END)
    cells: list[Content] = []
    for name, width in widths.items():
        text = _cell(name, width, row) if ending is None or name != _END[0] else ending
        cells.append(_filled(text, width, right=name in _RIGHT))
    line = Content(" " * layout.gap).join(cells)
    return line.stylize_before("$text-muted") if view.phase in FINISHED else line


def _joined(layout: Layout, names: tuple[str, ...]) -> dict[str, int]:
    """The widths with these columns, which follow each other, as one under the name of the first."""
    joined = [name for name in names if name in layout.widths]
    if not joined:
        return dict(layout.widths)
    whole = sum(layout.widths[name] for name in joined) + layout.gap * (len(joined) - 1)
    renamed = {_END[0] if name == joined[0] else name: width for name, width in layout.widths.items()}
    return {name: whole if name == _END[0] else width for name, width in renamed.items() if name not in joined[1:]}


def _filled(text: Content, cells: int, *, right: bool) -> Content:
    text = text.truncate(cells, ellipsis=True)
    return text.pad_left(cells - text.cell_length) if right else text.truncate(cells, pad=True)


def _failed(view: RunView) -> bool:
    return view.phase is Phase.FAILED


def _ending(row: _Row) -> Content | None:
    """How it ended, in words; None while it goes on."""
    view = row.view
    if view.outcome is None:
        return None
    words = plain_line(view.outcome_note)
    if _failed(view):
        cause = f'  "{plain_line(view.last_line)}"' if view.last_line else ""
        return Content("  ").join([*_marks(row), Content(f"{words}{cause}")])
    return Content(f"{view.outcome}: {words}" if view.phase is Phase.TO_DELIVER and words else words or view.outcome)


def _cell(name: str, cells: int, row: _Row) -> Content:
    view, now, layout, branch = row
    if name == layout.told_in and name != "NOTE" and (urgent := _urgent(view)):
        return Content.styled(urgent[0].replace("server: ", "srv: "), "$text-warning")
    match name:
        case "STATE":
            return _state(view, layout)
        case "RUN":
            return Content(plain_line(view.run_id)[:cells])
        case "OP":
            op = Content(cut(plain_line(view.op_name), cells - len(branch)))
            return Content.assemble((branch, "$text-muted"), op) if branch else op
        case "PROGRESS":
            return _progress(view, cells)
        case "LEFT":
            return Content(_left(view, now))
        case "STEP":
            return _step(view, now)
        case "GPU":
            return Content(NOT_APPLICABLE if view.gpu is None else f"{view.gpu}")
        case "TIME":
            return Content(duration((view.outcome_at or now) - view.claimed_at))
        case _:
            return _note(row)


def _state(view: RunView, layout: Layout) -> Content:
    phase = view.phase
    look = LOOKS[phase]
    style = "$text-error dim" if phase is Phase.FAILED and view.seen else look.style
    return Content.styled(f"{look.mark(ascii_only=layout.ascii_only)} {phase}", style)


def _progress(view: RunView, cells: int) -> Content:
    if view.progress is None:
        shown = UNKNOWN if view.phase is Phase.RUNNING else NOT_APPLICABLE
        return Content.styled(f"{shown:>{cells}}", "$text-muted")
    value = view.progress.percent
    return Content.assemble(meter(value, cells - _PERCENT), f"{percent(value):>{_PERCENT}}")


def _left(view: RunView, now: float) -> str:
    progress = view.progress
    if view.phase is not Phase.RUNNING:
        return NOT_APPLICABLE
    if progress is None or progress.left_s is None:
        return UNKNOWN
    left = progress.left_s - (now - progress.at)
    return duration(left) if left > 0 or progress.percent >= 100 else UNKNOWN


def _step(view: RunView, now: float) -> Content:
    if view.phase in (Phase.WAITING, Phase.RETURNING):
        return Content(what_it_waits_for(view))
    here = current_step(view)
    word = step_word(here.name if here else view.step)
    place = ""
    if here is not None:
        place = f"{[step.name for step in view.steps].index(here.name) + 1}/{len(view.steps)} "
    if view.pull is not None:
        word = "pulling {} {}".format(*pulled(view.pull))
    if view.again is not None:
        word = next_try(view.again, now)
    if view.kill_at is not None and view.kill_at > now:
        word = f"SIGKILL in {math.ceil(view.kill_at - now)} s"
    return Content(place + word)


def _urgent(view: RunView) -> list[str]:
    """What somebody should know of it wherever there is room for a word."""
    server = differing(view)
    marks = [f"server: {plain_line(server)}"] if server else []
    return [*marks, "held: another server answers"] if view.held else marks


def _marks(row: _Row) -> list[Content]:
    """What is known of it in addition to its state, the urgent first."""
    view, _, layout, branch = row
    wrong = [plain_line(view.again.why)] if view.again is not None else []
    frozen = [frozen_by(view, layout.zone)] if view.phase is Phase.FROZEN else []
    marks = [Content.styled(mark, "$text-warning") for mark in (*_urgent(view), *frozen, *wrong)]
    if view.outcome_at is not None and "NOTE" in layout.widths:
        marks.append(Content(clock(view.outcome_at, layout.zone)))
    if view.attempt > 1:
        marks.append(Content(f"attempt {view.attempt}"))
    if view.adopted:
        marks.append(Content("adopted"))
    if view.parent_id is not None and not branch:
        marks.append(Content(f"child of {plain_line(view.parent_id)[:_ID]}"))
    return marks


def _note(row: _Row) -> Content:
    view, marks = row.view, _marks(row)
    if view.outcome is not None:
        return Content("  ").join(marks)
    return Content(" · ").join([*marks, Content(plain_line(view.intent_note))] if view.intent_note else marks)
