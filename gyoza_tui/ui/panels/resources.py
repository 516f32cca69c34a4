"""What the machine does: a line per GPU, processor and memory beside or below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from textual import events
from textual.content import Content

from gyoza_tui.models.hardware import GpuSample, HardwareSample
from gyoza_tui.ui.format import part_of, percent, size
from gyoza_tui.ui.gpu_lines import gpu_line, gpu_strip
from gyoza_tui.ui.outside_text import one_line
from gyoza_tui.ui.widgets.lines import Lines
from gyoza_tui.ui.widgets.meter import HOT, meter
from gyoza_tui.ui.widgets.sparkline import buckets, sparkline
from gyoza_tui.ui.widgets.squeeze import GONE, Form, squeezed
from gyoza_tui.worker.view.snapshot import Snapshot

WIDE: Final = 120
"""From here on processor and memory stand beside the GPUs."""
_HOST_WIDTH: Final = 40
_PAIRED_MAX: Final = 4
"""More GPUs than these are one strip where two of them share a line."""
_PAIR_MIN: Final = 40
_PAIRED: Final = 100
"""Under it two GPUs share a line, and the header has no room for the disk."""
_BETWEEN: Final = " │ "
_LINES_MAX: Final = 32
_LINES_MIN: Final = 2
_SHARE: Final = 4
"""Not more lines of GPUs than the screen's height divided by this."""


class Resources(Lines, can_focus=True):
    def __init__(self) -> None:
        super().__init__(id="resources")
        self._snapshot: Snapshot | None = None
        self._samples: Sequence[HardwareSample] = ()
        self._made_of: object = None
        self.detailed = False
        """A line per GPU however narrow it is: when the panel has the whole terminal."""

    def show_snapshot(self, snapshot: Snapshot, samples: Sequence[HardwareSample]) -> None:
        self._snapshot, self._samples = snapshot, samples
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        self._draw()

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def _draw(self) -> None:
        width = self.size.width - 2
        snapshot = self._snapshot
        if snapshot is None or width <= 0:
            return
        most = _LINES_MAX if self.detailed else max(_LINES_MIN, self.screen.size.height // _SHARE)
        parts = (
            snapshot.hardware,
            snapshot.foreign,
            snapshot.runs,
            snapshot.disk_free_mb,
            width,
            most,
            self.detailed,
            self.has_focus,
        )
        if parts == self._made_of:
            return
        self._made_of = parts
        lines = resource_lines(snapshot, self._samples, width, most, detailed=self.detailed, focused=self.has_focus)
        self.show_lines([Content.assemble(" ", line) for line in lines])


def resource_lines(
    snapshot: Snapshot,
    samples: Sequence[HardwareSample],
    width: int,
    most: int = _LINES_MAX,
    *,
    detailed: bool = False,
    focused: bool = False,
) -> list[Content]:
    """`most` is how many lines the GPUs may have; `detailed` gives each its own."""
    hardware = snapshot.hardware
    if hardware is None:
        return [Content.styled("no reading of this machine yet", "$text-muted").truncate(width, ellipsis=True)]
    wide = width >= WIDE
    room = width - _HOST_WIDTH - len(_BETWEEN) if wide else width
    gpus = list(_gpus(hardware, samples, snapshot, room, most, detailed=detailed, focused=focused))
    host = [_processor(hardware, samples), _memory(hardware)]
    if not wide:
        facts = [(Form(host[0], 1), Form(_busy(hardware))), (Form(host[1], 2), Form(_used(hardware)), GONE)]
        disk = () if width >= _PAIRED else ((Form(_disk(snapshot), 3), GONE),)
        return [*gpus, squeezed([*facts, *disk], (), width)]
    height = max(len(gpus), len(host))
    gpus += [Content(" " * room)] * (height - len(gpus))
    host += [Content()] * (height - len(host))
    bar = Content.styled(_BETWEEN, "$foreground 30%")
    return [Content.assemble(left, bar, right) for left, right in zip(gpus, host, strict=True)]


def _gpus(
    hardware: HardwareSample,
    samples: Sequence[HardwareSample],
    snapshot: Snapshot,
    width: int,
    most: int,
    *,
    detailed: bool,
    focused: bool,
) -> Iterator[Content]:
    gpus = hardware.gpus
    wide = width >= _PAIRED
    if not gpus:
        yield _no_gpu(hardware, width)
    elif detailed or len(gpus) == 1 or (wide and len(gpus) <= most):
        for gpu in islice(gpus, _LINES_MAX):
            yield _line(gpu, samples, snapshot, width, focused=focused)
    elif width >= _PAIR_MIN and len(gpus) <= (2 * most if wide else _PAIRED_MAX):
        yield from _pairs(gpus, samples, snapshot, width, focused=focused)
    else:
        yield gpu_strip(gpus, width)


def _pairs(
    gpus: Sequence[GpuSample],
    samples: Sequence[HardwareSample],
    snapshot: Snapshot,
    width: int,
    *,
    focused: bool,
) -> Iterator[Content]:
    half = (width - len(_BETWEEN)) // 2
    for i in range(0, len(gpus), 2):
        pair = [_line(gpu, samples, snapshot, half, focused=focused) for gpu in gpus[i : i + 2]]
        yield Content.styled(_BETWEEN, "$foreground 30%").join(pair).truncate(width, pad=True)


def _line(
    gpu: GpuSample, samples: Sequence[HardwareSample], snapshot: Snapshot, width: int, *, focused: bool
) -> Content:
    index = gpu.info.index
    trouble, foreign = snapshot.gpu_trouble.get(index), snapshot.foreign.get(index)
    return gpu_line(gpu, samples, snapshot.runs, width, trouble=trouble, foreign=foreign, focused=focused)


def _no_gpu(hardware: HardwareSample, width: int) -> Content:
    line = Content.styled("no GPU", "bold")
    if hardware.gpu_note is not None:
        line = Content.assemble(line, (" reading  ", "bold"), one_line(hardware.gpu_note).stylize("$warning"))
    return line.truncate(width, ellipsis=True, pad=True)


def _processor(hardware: HardwareSample, samples: Sequence[HardwareSample]) -> Content:
    history = sparkline(buckets(samples, lambda sample: sample.cpu_percent, 8))
    cores = f"  {hardware.cpu_cores} cores" if hardware.cpu_cores else ""
    load = "" if hardware.load_1m is None else f" load {hardware.load_1m:.0f}"
    return Content.assemble(_busy(hardware), " ", history, (cores + load, "$text-muted"))


def _busy(hardware: HardwareSample) -> Content:
    return Content.assemble(("CPU ", "$text-muted"), percent(hardware.cpu_percent))


def _memory(hardware: HardwareSample) -> Content:
    share = _share(hardware)
    return Content.assemble(_used(hardware), " ", meter(share, 8, hot=(share or 0.0) >= HOT))


def _used(hardware: HardwareSample) -> Content:
    used = part_of(hardware.ram_used_mb, hardware.ram_total_mb or None)
    return Content.assemble(("RAM ", "$text-muted"), (used, "$warning" if (_share(hardware) or 0.0) >= HOT else ""))


def _share(hardware: HardwareSample) -> float | None:
    if hardware.ram_used_mb is None or not hardware.ram_total_mb:
        return None
    return 100 * hardware.ram_used_mb / hardware.ram_total_mb


def _disk(snapshot: Snapshot) -> Content:
    return Content.assemble(("disk ", "$text-muted"), size(snapshot.disk_free_mb))
