"""A GPU in a line: how busy, how full, how hot, and whose it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from textual.content import Content

from gyoza_tui.models.hardware import GpuSample, HardwareSample
from gyoza_tui.ui.format import UNKNOWN, part_of, percent, size
from gyoza_tui.ui.outside_text import cut, fitted, plain_line
from gyoza_tui.ui.run.phases import FINISHED
from gyoza_tui.ui.widgets.columns import Column, fit
from gyoza_tui.ui.widgets.meter import HOT, meter
from gyoza_tui.ui.widgets.sparkline import buckets, sparkline
from gyoza_tui.worker.view.snapshot import Foreign, RunView

HOT_C: Final = 85.0
"""Of a GPU that does not tell from where on it slows down: most do a little above it."""
_NEAR_C: Final = 5.0
"""Below where it slows down."""
_GAP: Final = 1
_ID: Final = 8
_AMBER: Final = "$warning"
_NO_READING: Final = "N/A"
_COLUMNS: Final = (
    Column("index", 2, 2),
    Column("name", 9, 12, rank=5),
    Column("load", 6, 20, rank=1),
    Column("util", 4, 4),
    Column("history", 8, 8, rank=6),
    Column("memory", 7, 8, rank=2),
    Column("memory bar", 6, 8, rank=7),
    Column("heat", 4, 5, rank=3),
    Column("power", 9, 9, rank=8),
    Column("run", 8, 32, rank=1, pace=2),
)


def gpu_line(
    gpu: GpuSample,
    samples: Sequence[HardwareSample],
    runs: Sequence[RunView],
    width: int,
    *,
    trouble: str | None = None,
    foreign: Foreign | None = None,
    focused: bool = False,
) -> Content:
    """Exactly `width` cells. `trouble`: why no run gets this GPU now; `foreign`: what other programs use of it."""
    cells = {
        name: _cell(name, cells, gpu, samples, runs, trouble=trouble, foreign=foreign or Foreign(), focused=focused)
        for name, cells in fit(_COLUMNS, width, _GAP).items()
    }
    return Content(" " * _GAP).join(cells.values()).truncate(width, pad=True)


def gpu_strip(gpus: Sequence[GpuSample], width: int) -> Content:
    """All of them in one line: index and load each; those that do not fit are counted."""
    parts = [Content.assemble((f"{gpu.info.index}:", "$text-muted"), *_load(gpu)) for gpu in gpus]
    line = Content("GPU ").stylize("$text-muted")
    for i, part in enumerate(parts):
        rest = f" +{len(parts) - i}" if i < len(parts) - 1 else ""
        if line.cell_length + 1 + part.cell_length + len(rest) > width:
            return Content.assemble(line, f" +{len(parts) - i}").truncate(width, pad=True)
        line = Content.assemble(line, " " if i else "", part)
    return line.truncate(width, pad=True)


def run_on(gpu: int, runs: Sequence[RunView]) -> list[RunView]:
    return [run for run in runs if run.gpu == gpu and run.phase not in FINISHED]


def _load(gpu: GpuSample) -> tuple[Content, ...]:
    hot = "$warning" if _hot(gpu) or _full(gpu) else ""
    return meter(gpu.util_percent, 2), Content.styled(percent(gpu.util_percent), hot)


def _cell(
    name: str,
    cells: int,
    gpu: GpuSample,
    samples: Sequence[HardwareSample],
    runs: Sequence[RunView],
    *,
    trouble: str | None,
    foreign: Foreign,
    focused: bool,
) -> Content:
    match name:
        case "index":
            return Content.styled(f"{gpu.info.index:>2}", "bold $accent" if focused else "bold")
        case "name":
            return Content(fitted(_short_name(gpu.info.name), cells))
        case "load":
            return meter(gpu.util_percent, cells)
        case "util":
            return _reading(gpu.util_percent, percent(gpu.util_percent), cells)
        case "history":
            return sparkline(buckets(samples, _util_of(gpu.info.index), cells))
        case "memory":
            return _memory(gpu, cells)
        case "memory bar":
            return meter(_memory_percent(gpu), cells, hot=_full(gpu))
        case "heat":
            return _reading(gpu.temperature_c, f"{gpu.temperature_c or 0:.0f}°", cells, hot=_hot(gpu))
        case "power":
            return _power(gpu, cells)
        case _:
            return _whose(gpu, runs, trouble, foreign, cells)


def _reading(value: float | None, shown: str, cells: int, *, hot: bool = False) -> Content:
    if value is None:
        return Content.styled(f"{_NO_READING:>{cells}}", "$text-muted")
    return Content.styled(f"{shown:>{cells}}", _AMBER if hot else "")


def _memory(gpu: GpuSample, cells: int) -> Content:
    shown = part_of(gpu.memory_used_mb, gpu.info.memory_total_mb)
    known = None if gpu.memory_used_mb is None and gpu.info.memory_total_mb is None else 0.0
    return _reading(known, cut(shown, cells), cells, hot=_full(gpu))


def _memory_percent(gpu: GpuSample) -> float | None:
    if gpu.memory_used_mb is None or not gpu.info.memory_total_mb:
        return None
    return 100 * gpu.memory_used_mb / gpu.info.memory_total_mb


def _full(gpu: GpuSample) -> bool:
    return (_memory_percent(gpu) or 0.0) >= HOT


def _hot(gpu: GpuSample) -> bool:
    hot = HOT_C if gpu.slowdown_c is None else gpu.slowdown_c - _NEAR_C
    return (gpu.temperature_c or 0.0) >= hot


def _power(gpu: GpuSample, cells: int) -> Content:
    limit = "" if gpu.power_limit_w is None else f"/{gpu.power_limit_w:.0f}"
    return _reading(gpu.power_w, cut(f"{gpu.power_w or 0:.0f}{limit}W", cells), cells)


def _whose(gpu: GpuSample, runs: Sequence[RunView], trouble: str | None, foreign: Foreign, cells: int) -> Content:
    """Its run, and what others use of it; without a run why none gets it, or what uses it."""
    mine = run_on(gpu.info.index, runs)
    if not mine and trouble is not None:
        return Content.styled(fitted(f"out: {plain_line(trouble)}", cells), _AMBER)
    if not mine:
        return Content.styled(fitted(_others(gpu, foreign), cells), _AMBER if foreign.mb else "$text-muted")
    first = mine[0]
    more = f" +{len(mine) - 1}" if len(mine) > 1 else ""
    if foreign.mb:
        words = plain_line(first.run_id)[:_ID] + more
        rest = max(0, cells - len(words))
        return Content.assemble(cut(words, cells), (fitted(f" | {_others(gpu, foreign)}", rest), _AMBER))
    words = plain_line(first.run_id)[:_ID]
    if cells > _ID + len(more) + 3:
        words = f"{words} {plain_line(first.op_definition or first.image)}"
    return Content(fitted(cut(words, cells - len(more)) + more, cells))


def _others(gpu: GpuSample, foreign: Foreign) -> str:
    """What uses a GPU besides runs: the process with the most memory where the driver names it."""
    named = foreign.processes if foreign.mb else gpu.processes or ()
    if named:
        first = named[0]
        user = f" {plain_line(first.user)}" if first.user else ""
        return f"{plain_line(first.name or UNKNOWN)} {size(first.memory_mb)} pid {first.pid}{user}"
    if foreign.mb:
        return f"{size(foreign.mb)} used by others"
    if gpu.processes is None:
        return "no run"
    return "free"


def _util_of(index: int) -> Callable[[HardwareSample], float | None]:
    def util(sample: HardwareSample) -> float | None:
        for gpu in sample.gpus[index : index + 1] + sample.gpus:
            if gpu.info.index == index:
                return gpu.util_percent
        return None

    return util


def _short_name(name: str | None) -> str:
    """`A100-80G` of `NVIDIA A100-SXM4-80GB`."""
    words = plain_line(name or "?").removeprefix("NVIDIA ").removeprefix("GeForce ").removesuffix("B")
    return words.replace("-SXM4", "").replace("-PCIE", "").replace(" PCIe", "")
