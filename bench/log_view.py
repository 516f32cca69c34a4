"""A million lines in the log pane: how soon they are there, found and counted, and how long no key got through.

The value is the figure that is nearest to its bound, or furthest beyond it, as a share of that bound.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from textual.app import App, ComposeResult

from bench.report import report
from gyoza_tui.backends.base import Chunk, Stream
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.panels.log import LogPane
from gyoza_tui.ui.widgets.log_view import LogView
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.view.control import LogHits, LogPage, LogQuery
from gyoza_tui.worker.view.run_logs import LogLocation, RunLogs
from gyoza_tui.worker.view.run_views import view_of
from tests.ui.fake_control import FakeControl, row

LINES = 1_000_000
NEEDLE_AT = LINES - 250_000
"""20 MB above the end, where the log opens."""
FLOOD_LINES = 10_000
"""What comes between two looks at 100,000 lines a second."""
LOOKS = 30
MB = 1_000_000
BOUNDS = {
    "open": 0.1,
    "hit within 20 MB": 0.2,
    "all counted": 3.0,
    "loop held": 0.1,
    "look in a flood": 0.05,
    "memory, MB": 16.0,
}


class SpoolControl(FakeControl):
    """Its logs are real ones."""

    def __init__(self, logs: RunLogs) -> None:
        super().__init__()
        self._logs = logs

    def log_lines(self, key: int, start: int, count: int, line_max: int = 8192) -> LogPage:
        return self._logs.lines(key, start, count, line_max)

    def log_search(self, key: int, query: LogQuery, line: int, *, backwards: bool = False) -> LogHits:
        return self._logs.search(key, query, line, backwards=backwards)


class LogApp(App[None]):
    def __init__(self, control: SpoolControl) -> None:
        super().__init__()
        self._control = control

    def compose(self) -> ComposeResult:
        yield LogPane(self._control, UiOptions())


class Heartbeat:
    """How long the event loop answered nobody, at the longest."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def beat(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.perf_counter() - before)


@contextmanager
def million_lines(path: Path) -> Iterator[tuple[LogSpool, int]]:
    """The log, and its bytes."""
    spool = LogSpool(path, 1 << 30)
    text = "2026-03-14 02:14:10 step {:>9}/1000000 loss=0.1234 accuracy=0.9876 lr=0.001 {}\n"
    for begin in range(0, LINES, 1000):
        lines = (text.format(i, "needle" if i == NEEDLE_AT else "abcdef") for i in range(begin, begin + 1000))
        spool.append(Chunk(Stream.STDOUT, "".join(lines).encode()), time.time())
    spool.flush()
    yield spool, spool.bytes
    spool.close()


async def seconds_until(done: Callable[[], bool]) -> float:
    began = time.perf_counter()
    while not done():
        await asyncio.sleep(0.001)
        if time.perf_counter() - began > 60:
            raise TimeoutError
    return time.perf_counter() - began


async def flood(spool: LogSpool, view: LogView) -> float:
    """Seconds of this process that one look takes while 10,000 lines come before each."""
    lines = b"".join(b"flood %d of lines that nobody can read\n" % i for i in range(FLOOD_LINES))
    spent = 0.0
    for _ in range(LOOKS):
        spool.append(Chunk(Stream.STDOUT, lines), time.time())
        spool.flush()
        total, began = view.total, time.process_time()
        view.look()
        await seconds_until(lambda total=total: view.total > total)  # type: ignore[misc]
        spent += time.process_time() - began
    return spent / LOOKS


async def measure(spool: LogSpool, path: Path) -> dict[str, float]:
    figures: dict[str, float] = {}
    app = LogApp(SpoolControl(RunLogs(lambda _: LogLocation(path))))
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause()
        pane = app.query_one(LogPane)
        view = pane.log_view
        memory = psutil.Process().memory_info().rss
        pane.show_run(view_of(row(1, "a1b2c3d4")))
        figures["open"] = await seconds_until(lambda: view.line is not None)
        heartbeat = Heartbeat()
        beating = asyncio.create_task(heartbeat.beat())
        view.look_for("needle")
        figures["hit within 20 MB"] = await seconds_until(lambda: view.cursor == NEEDLE_AT)
        view.look_for("99/1000000")
        search = view.find
        assert search is not None
        figures["all counted"] = await seconds_until(lambda: search.complete)
        assert len(search) == LINES // 100
        beating.cancel()
        figures["loop held"] = heartbeat.longest
        view.look_for("")
        view.set_follow(True)
        figures["look in a flood"] = await flood(spool, view)
        figures["memory, MB"] = (psutil.Process().memory_info().rss - memory) / MB
    return figures


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gyoza-bench-") as root, million_lines(Path(root) / "log") as (spool, size):
        figures = asyncio.run(measure(spool, Path(root) / "log"))
    shares = {name: value / BOUNDS[name] for name, value in figures.items()}
    told = ", ".join(f"{name} {value:.3g} (at most {BOUNDS[name]:g})" for name, value in figures.items())
    detail = f"{LINES:,} lines, {size / MB:.0f} MB: {told}"
    report(f"log view, {max(shares, key=lambda name: shares[name])}", detail, max(shares.values()), 1, at_most=True)


if __name__ == "__main__":
    main()
