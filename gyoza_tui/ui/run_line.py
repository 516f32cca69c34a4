"""A run in a line of the list: which columns there is room for, and what stands in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import tzinfo
from typing import Final, NamedTuple

from textual.content import Content

from gyoza_tui.ui.format import NOT_APPLICABLE, UNKNOWN, clock, duration, part_of, percent
from gyoza_tui.ui.ops import op_name
from gyoza_tui.ui.outside import cut, plain_line
from gyoza_tui.ui.phases import FINISHED, LOOKS, WORD_WIDTH
from gyoza_tui.ui.server_truth import differing
from gyoza_tui.ui.steps import current_step, next_try, step_word
from gyoza_tui.ui.widgets.columns import Column, fit
from gyoza_tui.ui.widgets.meter import meter
from gyoza_tui.worker.snapshot import Outcome, Phase, RunView, phase_of

_STATE: Final = 2 + WORD_WIDTH
_COLUMNS: Final = (
    Column("STATE", _STATE, _STATE),
    Column("RUN", 8, 8, rank=1),
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
_SAID: Final = ("PROGRESS", "LEFT", "STEP")
"""Columns that the words on a run's end lie across."""
_TOLD_IN: Final = ("NOTE", "STEP", "PROGRESS")
_ROOMY: Final = 110
_MIB: Final = 1024 * 1024
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


def run_line(view: RunView, now: float, layout: Layout) -> Content:
    """`now` in UTC seconds; nothing in the line of a finished run depends on it."""
    said = _ending(view)
    cells: list[Content] = []
    widths = dict(layout.widths)
    if said is not None:
        widths = _spread(widths, layout.gap)
    for name, width in widths.items():
        text = (
            Content.styled(said, "") if said is not None and name == _SAID[0] else _cell(name, width, view, now, layout)
        )
        cells.append(_filled(text, width, right=name in _RIGHT))
    line = Content(" " * layout.gap).join(cells)
    return line.stylize_before("$text-muted") if phase_of(view) in FINISHED else line


def _spread(widths: dict[str, int], gap: int) -> dict[str, int]:
    """The columns in which a finished run has nothing, as one."""
    lying = [name for name in _SAID if name in widths]
    if not lying:
        return widths
    whole = sum(widths[name] for name in lying) + gap * (len(lying) - 1)
    return {
        (_SAID[0] if name == lying[0] else name): (whole if name == lying[0] else width)
        for name, width in widths.items()
        if name == lying[0] or name not in lying
    }


def _filled(text: Content, cells: int, *, right: bool) -> Content:
    text = text.truncate(cells, ellipsis=True)
    return text.pad_left(cells - text.cell_length) if right else text.truncate(cells, pad=True)


def _ending(view: RunView) -> str | None:
    """How it ended, in words; None while it goes on."""
    row = view.row
    if row.outcome is None:
        return None
    words = plain_line(row.outcome_note)
    return f"{row.outcome}: {words}" if phase_of(view) is Phase.TO_DELIVER and words else words or row.outcome


def _cell(name: str, cells: int, view: RunView, now: float, layout: Layout) -> Content:
    row = view.row
    if name == layout.told_in and name != "NOTE" and (urgent := _urgent(view)):
        return Content.styled(urgent[0].replace("server: ", "srv: "), "$text-warning")
    match name:
        case "STATE":
            return _state(view, layout)
        case "RUN":
            return Content(plain_line(row.run_id)[:cells])
        case "OP":
            return Content(cut(plain_line(op_name(row)), cells))
        case "PROGRESS":
            return _progress(view, cells)
        case "LEFT":
            return Content(_left(view, now))
        case "STEP":
            return _step(view, now)
        case "GPU":
            return Content(NOT_APPLICABLE if view.gpu is None else f"{view.gpu}")
        case "TIME":
            return Content(duration((row.outcome_at or now) - row.claimed_at))
        case _:
            return _note(view, layout)


def _state(view: RunView, layout: Layout) -> Content:
    phase = phase_of(view)
    look = LOOKS[phase]
    style = "$text-error dim" if phase is Phase.FAILED and view.seen else look.style
    return Content.styled(f"{look.mark(ascii_only=layout.ascii_only)} {phase}", style)


def _progress(view: RunView, cells: int) -> Content:
    if view.progress is None:
        shown = UNKNOWN if phase_of(view) is Phase.RUNNING else NOT_APPLICABLE
        return Content.styled(f"{shown:>{cells}}", "$text-muted")
    value = view.progress.percent
    return Content.assemble(meter(value, cells - _PERCENT), f"{percent(value):>{_PERCENT}}")


def _left(view: RunView, now: float) -> str:
    progress = view.progress
    if phase_of(view) is not Phase.RUNNING:
        return NOT_APPLICABLE
    if progress is None or progress.left_s is None:
        return UNKNOWN
    left = progress.left_s - (now - progress.at)
    return duration(left) if left > 0 or progress.percent >= 100 else UNKNOWN


def _step(view: RunView, now: float) -> Content:
    here = current_step(view)
    word = step_word(here.name if here else view.row.step)
    place = ""
    if here is not None:
        place = f"{[step.name for step in view.steps].index(here.name) + 1}/{len(view.steps)} "
    if view.pull is not None:
        total = None if view.pull.bytes_total is None else view.pull.bytes_total / _MIB
        layers = f"{view.pull.layers_done}/{view.pull.layers_total or UNKNOWN}"
        word = f"pulling {layers} {part_of(view.pull.bytes_done / _MIB, total)}"
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


def _note(view: RunView, layout: Layout) -> Content:
    row = view.row
    wrong = [plain_line(view.again.why)] if view.again is not None else []
    since = row.frozen_since if phase_of(view) is Phase.FROZEN else None
    frozen = [] if since is None else [f"paused from outside since {clock(since, layout.zone)}"]
    parts = [Content.styled(mark, "$text-warning") for mark in (*_urgent(view), *frozen, *wrong)]
    if row.outcome_at is not None:
        parts.append(Content(clock(row.outcome_at, layout.zone)))
    if row.attempt > 1:
        parts.append(Content(f"attempt {row.attempt}"))
    if view.adopted:
        parts.append(Content("adopted"))
    if row.outcome is Outcome.FAILED and row.last_line:
        parts.append(Content(f'"{plain_line(row.last_line)}"'))
    elif row.outcome is None and row.intent_note:
        parts.append(Content(plain_line(row.intent_note)))
    return Content(" · ").join(parts) if row.outcome is None else Content("  ").join(parts)
