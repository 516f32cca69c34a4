"""A worker's metrics, read from its snapshot when somebody scrapes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from gyoza_tui import __version__
from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.server_trouble import Trouble
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.worker.duties.duty import Duty, Fault
from gyoza_tui.worker.duties.intake import Intake
from gyoza_tui.worker.journal.row import Outcome
from gyoza_tui.worker.monitoring.durations import Durations
from gyoza_tui.worker.monitoring.vital_signs import VitalSigns
from gyoza_tui.worker.view.control import WorkerControl
from gyoza_tui.worker.view.snapshot import Phase, RunView, Snapshot

_PREFIX: Final = "gyoza_worker"
_OF_RUN: Final = ("run", "attempt", "op")
_OPEN: Final = [p for p in Phase if p not in (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED, Phase.RELEASED)]


class WorkerCollector:
    """What labels may be is a fixed list, but for GPUs, backends, and the runs that are at work."""

    def __init__(
        self,
        control: WorkerControl,
        duties: Sequence[Duty],
        signs: VitalSigns,
        durations: Durations,
        intake: Intake,
    ) -> None:
        self._control = control
        self._duties = duties
        self._signs = signs
        self._durations = durations
        self._intake = intake

    def collect(self) -> Iterator[Metric]:
        snapshot = self._control.snapshot()
        yield InfoMetricFamily(_PREFIX, "Which gyoza-tui this is.", {"version": __version__})
        yield _gauges(
            "state", "1 for what the worker is at.", "state", {s: snapshot.state is s for s in WorkerState}.items()
        )
        yield from self._runs(snapshot)
        yield from self._ended()
        yield from self._duty_ages(snapshot)
        yield from _server(snapshot)
        yield from _machine(snapshot)
        if snapshot.hardware is not None:
            yield from _gpus(snapshot, snapshot.hardware)
        yield from _at_work(snapshot)

    def _runs(self, snapshot: Snapshot) -> Iterator[Metric]:
        phases = Counter(view.phase for view in snapshot.runs)
        yield _gauges("runs", "Runs here by what they are at.", "phase", ((_word(p), phases[p]) for p in _OPEN))
        yield _gauge("max_runs", "Runs that may be at work at the same time.", snapshot.max_runs)
        yield _gauge("free_slots", "Runs that are wanted now.", snapshot.free_slots)
        claimed = _counter("claimed_runs", "Runs that claims were answered with.", "taken")
        claimed.add_metric(["yes"], self._intake.started)
        claimed.add_metric(["no"], self._intake.refused)
        yield claimed
        yield _gauge(
            "reports_to_deliver", "Reports that the server has neither taken nor refused.", snapshot.to_deliver
        )
        sizes = (self._control.log_size(view.key) for view in snapshot.runs)
        yield _gauge("log_spool_bytes", "Output of the runs at work that is kept here.", sum(s or 0 for s in sizes))

    def _ended(self) -> Iterator[Metric]:
        ended = _counter("ended_runs", "Runs that ended here since this process began.", "outcome")
        for outcome, number in self._durations.counts().items():
            ended.add_metric([outcome], number)
        yield ended
        ran = HistogramMetricFamily(f"{_PREFIX}_run_duration_seconds", "From start to end.", labels=["outcome"])
        for outcome in Outcome:
            histogram = self._durations.histogram(outcome)
            buckets = [("+Inf" if up_to == float("inf") else str(up_to), n) for up_to, n in histogram.buckets]
            ran.add_metric([outcome], buckets, histogram.sum_s)
        yield ran

    def _duty_ages(self, snapshot: Snapshot) -> Iterator[Metric]:
        ages = [
            (duty.name, max(0.0, snapshot.taken_at - duty.status.last_ok))
            for duty in self._duties
            if duty.status.last_ok is not None
        ]
        yield _gauges("duty_last_ok_age_seconds", "Since a tick of the duty last succeeded.", "duty", ages)
        silent = self._signs.not_ticking()
        ticking = ((duty.name, duty.name not in silent) for duty in self._duties)
        yield _gauges("duty_ticking", "0 for a duty that hangs or is dead.", "duty", ticking)
        failed = _counter("duty_errors", "Ticks of the duty that failed, by what.", "duty", "kind")
        for duty in self._duties:
            for fault in Fault:
                failed.add_metric([duty.name, fault], duty.faults[fault])
        yield failed


def _server(snapshot: Snapshot) -> Iterator[Metric]:
    link = snapshot.link
    yield _gauge("server_up", "1 while the server answers.", link.registered and link.trouble is None)
    troubles = ((_word(each), link.kind is each) for each in Trouble)
    yield _gauges("server_trouble", "1 for what is wrong with the server.", "kind", troubles)
    if link.latency_ms is not None:
        yield _gauge("server_latency_seconds", "How long the last heartbeat took.", link.latency_ms / 1000)


def _machine(snapshot: Snapshot) -> Iterator[Metric]:
    if snapshot.disk_free_mb is not None:
        yield _gauge("disk_free_bytes", "Of the disk with the least room.", snapshot.disk_free_mb * MIB)
    backends = ((name, trouble is None) for name, trouble in snapshot.backends.items())
    yield _gauges("backend_up", "1 for a backend that takes work.", "backend", backends)
    hardware = snapshot.hardware
    if hardware is None:
        return
    if hardware.cpu_percent is not None:
        yield _gauge("cpu_usage_ratio", "Over all cores.", hardware.cpu_percent / 100)
    if hardware.ram_used_mb is not None:
        yield _gauge("memory_used_bytes", "Of the machine's memory.", hardware.ram_used_mb * MIB)
    yield _gauge("memory_bytes", "The machine's memory.", hardware.ram_total_mb * MIB)


def _gpus(snapshot: Snapshot, hardware: HardwareSample) -> Iterator[Metric]:
    gpus = {str(gpu.info.index): gpu for gpu in hardware.gpus}
    for name, text, of_gpu in (
        ("usage_ratio", "How busy the GPU is.", {i: _times(g.util_percent, 0.01) for i, g in gpus.items()}),
        ("memory_used_bytes", "Of the GPU's memory.", {i: _times(g.memory_used_mb, MIB) for i, g in gpus.items()}),
        ("memory_bytes", "The GPU's memory.", {i: _times(g.info.memory_total_mb, MIB) for i, g in gpus.items()}),
        ("power_watts", "What the GPU draws.", {i: g.power_w for i, g in gpus.items()}),
        ("temperature_celsius", "The GPU's temperature.", {i: g.temperature_c for i, g in gpus.items()}),
        (
            "foreign_memory_bytes",
            "Of the GPU's memory, what no run has reserved.",
            {str(index): foreign.mb * MIB for index, foreign in snapshot.foreign.items()},
        ),
        ("up", "0 for a GPU with which nothing starts.", {i: int(i) not in snapshot.gpu_trouble for i in gpus}),
    ):
        known = ((index, value) for index, value in of_gpu.items() if value is not None)
        yield _gauges(f"gpu_{name}", text, "gpu", known)


def _at_work(snapshot: Snapshot) -> Iterator[Metric]:
    """Series of single runs, only as long as they run."""
    running = [view for view in snapshot.runs if view.started_at is not None and view.outcome is None]
    seconds = GaugeMetricFamily(f"{_PREFIX}_run_seconds", "Since the run has started.", labels=_OF_RUN)
    progress = GaugeMetricFamily(f"{_PREFIX}_run_progress_ratio", "What the run last said.", labels=_OF_RUN)
    for view in running:
        seconds.add_metric(_labels(view), max(0.0, snapshot.utc - (view.started_at or 0.0)))
        if view.progress is not None:
            progress.add_metric(_labels(view), view.progress.percent / 100)
    yield seconds
    yield progress


def _labels(view: RunView) -> list[str]:
    return [view.run_id, str(view.attempt), view.op_name]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=value)


def _gauges(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=[label])
    for value_of_label, value in values:
        family.add_metric([value_of_label], value)
    return family


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"{_PREFIX}_{name}", text, labels=labels)


def _times(reading: float | None, factor: float) -> float | None:
    return None if reading is None else reading * factor


def _word(text: str) -> str:
    return text.lower().replace(" ", "_")
