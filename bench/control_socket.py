"""What a cockpit costs that looks at a worker: bytes a second at rest and with 20 runs that print ten lines a second,
the worker's processor time with one and without, and the round trip of a command.
"""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import suppress
from typing import Final

from bench.place import place
from bench.report import Figure, python_start_ms, report_all
from gyoza_tui.models.states import RunState
from tests.blackbox.house import WorkerProcess
from tests.waiting import until
from tests.worker.control_socket.served import BareCockpit, bare

RUNS: Final = 20
WINDOW_S: Final = 10.0
PAIRS: Final = 3
COMMANDS: Final = 300
PRINTS: Final = "i=0; while true; do i=$((i+1)); echo line $i of the log of an op at work; sleep 0.1; done"


def main() -> None:
    with place() as house:
        worker = house.worker(RUNS)
        rest_bytes, rest_percent = _cost(worker)
        runs = [house.script(PRINTS) for _ in range(RUNS)]
        for run in runs:
            house.until_state(run, RunState.RUNNING, within_s=120)
        busy_bytes, busy_percent = _cost(worker)
        trips = _round_trips(worker)
        for run in runs:
            house.client.update_run(run.id, state=RunState.CANCELLED)
        house.until_free(worker, within_s=120)
    start_ms = python_start_ms()
    windows = f"median of {PAIRS} windows of {WINDOW_S:g} s"
    pairs = f"median of {PAIRS} pairs of windows of {WINDOW_S:g} s, one with a cockpit and one without"
    report_all(
        Figure("control socket, at rest", windows, rest_bytes / 1000, 2, unit=" kB/s"),
        Figure(f"control socket, {RUNS} runs", windows, busy_bytes / 1000, 30, unit=" kB/s"),
        Figure("worker for one cockpit, at rest", pairs, rest_percent, 1, unit=" % of a core"),
        Figure(f"worker for one cockpit, {RUNS} runs", pairs, busy_percent, 1, unit=" % of a core"),
        Figure(
            "round trip of a command",
            f"median of {COMMANDS} with {RUNS} runs; `python -c pass` takes {start_ms:.1f} ms",
            statistics.median(trips),
            10,
            unit=" ms",
        ),
    )


def _cost(worker: WorkerProcess) -> tuple[float, float]:
    """Bytes a second that a cockpit is sent, and how much more of a core the worker takes, in percent."""
    sent, more = [], []
    for _ in range(PAIRS):
        alone = _percent(worker)
        with bare(worker.root) as cockpit:
            cockpit.ask("watch")
            threading.Thread(target=_listen, args=(cockpit,), daemon=True).start()
            until(lambda: len(cockpit.messages) > 5, "its first pushes")
            before = len(cockpit.seen)
            looked_at = _percent(worker)
            sent.append((len(cockpit.seen) - before) / WINDOW_S)
        more.append(looked_at - alone)
    return statistics.median(sent), statistics.median(more)


def _percent(worker: WorkerProcess) -> float:
    """Of a core, over one window."""
    before = sum(worker.process.cpu_times()[:2])
    time.sleep(WINDOW_S)
    return 100 * (sum(worker.process.cpu_times()[:2]) - before) / WINDOW_S


def _listen(cockpit: BareCockpit) -> None:
    cockpit.socket.settimeout(None)
    with suppress(OSError, EOFError):
        while True:
            cockpit.receive()


def _round_trips(worker: WorkerProcess) -> list[float]:
    """In milliseconds."""
    taken = []
    with bare(worker.root) as cockpit:
        cockpit.ask("watch")
        for _ in range(COMMANDS):
            began = time.perf_counter()
            cockpit.ask("resume")
            taken.append(1000 * (time.perf_counter() - began))
    return taken


if __name__ == "__main__":
    main()
