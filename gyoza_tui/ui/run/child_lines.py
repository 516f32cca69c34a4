"""The children of a run in lines: state, progress, where each is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from textual.content import Content

from gyoza_tui.models.states import TERMINAL
from gyoza_tui.ui.format import NOT_APPLICABLE, percent
from gyoza_tui.ui.outside_text import plain_line
from gyoza_tui.ui.run.phases import WORD_WIDTH, look_of
from gyoza_tui.ui.widgets.columns import Column, fit
from gyoza_tui.ui.widgets.meter import meter
from gyoza_tui.worker.view.control import Child, Children
from gyoza_tui.worker.view.snapshot import Phase

_ID: Final = 8
_STATE: Final = 2 + WORD_WIDTH
_COLUMNS: Final = (
    Column("STATE", _STATE, _STATE),
    Column("RUN", _ID, _ID, rank=1),
    Column("OP", 9, 24, rank=3),
    Column("PROGRESS", 9, 16, rank=2),
    Column("WORKER", 10, 16, rank=4),
    Column("NOTE", 10, 200, rank=5, pace=2),
)
_GAP: Final = 2
_PERCENT: Final = 5


def child_lines(children: Children, cells: int, *, ascii_only: bool) -> Iterator[Content]:
    """How many are in which state, then each, none wider than that; nothing where there are none."""
    if not children.runs:
        return
    states = Counter(child.state for child in children.runs)
    counts = " · ".join(f"{count} {plain_line(state)}" for state, count in states.items())
    more = " · more that are not listed" if children.more else ""
    yield Content(counts + more).truncate(cells, ellipsis=True)
    widths = fit(_COLUMNS, cells, _GAP)
    yield from (_line(child, widths, ascii_only) for child in children.runs)


def _line(child: Child, widths: dict[str, int], ascii_only: bool) -> Content:
    texts = (_cell(name, width, child, ascii_only).truncate(width, ellipsis=True) for name, width in widths.items())
    padded = (text.truncate(width, pad=True) for text, width in zip(texts, widths.values(), strict=True))
    line = Content(" " * _GAP).join(padded).rstrip()
    return line.stylize_before("$text-muted") if child.state in TERMINAL else line


def _cell(name: str, width: int, child: Child, ascii_only: bool) -> Content:
    match name:
        case "STATE":
            look = look_of(child.state)
            return Content.styled(f"{look.mark(ascii_only=ascii_only)} {plain_line(child.state)}", look.style)
        case "RUN":
            return Content(plain_line(child.run_id)[:_ID])
        case "OP":
            return Content(plain_line(child.op_name))
        case "PROGRESS":
            return _progress(child, width)
        case "WORKER":
            return Content(plain_line(child.worker_id or NOT_APPLICABLE))
        case _:
            attempt = [f"attempt {child.attempt}"] if child.attempt > 1 else []
            return Content("  ".join([*attempt, plain_line(child.note)]))


def _progress(child: Child, width: int) -> Content:
    """The server has 0 for what has not told its progress."""
    if child.state == Phase.COMPLETED or not (child.progress or child.state == Phase.RUNNING):
        return Content.styled(f"{NOT_APPLICABLE:>{width}}", "$text-muted")
    share = f"{percent(child.progress):>{_PERCENT}}"
    if child.state in TERMINAL:
        return Content(f"{share:>{width}}")
    return Content.assemble(meter(child.progress, width - _PERCENT), share)
