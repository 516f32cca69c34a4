"""The screen on a real pty: how soon a key shows, what it costs, and whether it costs the worker anything.

The value is the figure that is nearest to its bound, or furthest beyond it, as a share of that bound. Names of figures
as arguments measure only those.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psutil

from bench.place import place
from bench.report import report
from gyoza_tui.backends.base import Label
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import House, events_of
from tests.commands import COMMAND
from tests.ui.terminal.desk import NAME, Desk
from tests.ui.terminal.pty_session import PtySession
from tests.waiting import until

FIRST_FRAMES: Final = 10
KEYS: Final = 120
AWAY_S: Final = 0.25
"""Between the key that hides the timestamps, and the measured one that shows them again."""
QUIET_S: Final = 10.0
SETTLE_S: Final = 4.0
PAIRS: Final = 3
LINES: Final = 15_000_000
OFFERED: Final = 1_000_000
MB: Final = 1_000_000
LINE: Final = "step 12345: loss 0.0123 accuracy 0.9876 lr 0.001 elapsed 12.3 s"
_PACED: Final = f"""
now() {{ read up _ </proc/uptime; centis=${{up%.*}}${{up#*.}}; }}
now; due=$centis; left=LINES
while [ $left -gt 0 ]; do
    yes '{LINE}' | head -n 10000; left=$((left - 10000)); due=$((due + 10))
    now; while [ $centis -lt $due ]; do usleep 5000; now; done
done
"""
PACED: Final = _PACED.replace("LINES", "1000000000")
"""100,000 lines a second; what it falls behind it makes up for."""
OFFER: Final = _PACED.replace("LINES", str(OFFERED))
FLAT_OUT: Final = f"yes 'step 12345: loss 0.0123' | head -n {LINES}"
DRIP: Final = "while :; do echo step of a quiet run; sleep 0.2; done"
_TIMESTAMP: Final = re.compile(rb"\d\d:\d\d:\d\d")
DOCKER: Final = {
    "DOCKER_HOST": "unix:///var/run/docker.sock",
    "GYOZA_DOCKER_NETWORK": "none",
    "GYOZA_PULL_POLICY": "missing",
    "GYOZA_UI_ASCII": "false",
}
_FROZEN: Final = """
from gyoza_tui.worker.duties.sample import Sample
from gyoza_tui.worker.server_link import ServerLink
tick, beaten = Sample.tick, ServerLink.beaten
def tick_once(self):
    return 1.0 if self._history.latest() else tick(self)
def beaten_in_no_time(self, reply, sent_at):
    beaten(self, reply, sent_at)
    self._state = self._state._replace(latency_ms=1.0)
Sample.tick, ServerLink.beaten = tick_once, beaten_in_no_time
from gyoza_tui.__main__ import main
main()
"""


def first_frame(house: House) -> float:
    desk = Desk(house, house.root)
    taken = []
    for _ in range(FIRST_FRAMES):
        began = time.monotonic()
        with desk.started(COMMAND) as session:
            while not (session.on_screen and NAME.encode() in session.raw):
                assert time.monotonic() < began + 10, session.text
                time.sleep(0.001)
            taken.append(time.monotonic() - began)
            desk.ends_well(session)
    return statistics.median(taken)


def key_in_a_flood(house: House) -> float:
    desk = Desk(house, house.root)
    with desk.screen(size=(160, 45), **DOCKER) as session, running(house, PACED):
        session.wait_for("loss 0.0123")
        before, began = total(session), time.monotonic()
        taken = [key_to_repaint(session) for _ in range(KEYS)]
        rate = (total(session) - before) / (time.monotonic() - began)
        print(f"  {rate:,.0f} lines a second while keys were pressed; median {statistics.median(taken) * 1000:.0f} ms")
    return statistics.quantiles(taken, n=100)[98]


def key_to_repaint(session: PtySession) -> float:
    session.type("t")
    time.sleep(AWAY_S)
    mark, began = len(session.raw), time.monotonic()
    session.type("t")
    while _TIMESTAMP.search(session.raw, mark) is None:
        assert time.monotonic() < began + 10, session.text
        time.sleep(0.001)
    return time.monotonic() - began


def total(session: PtySession) -> int:
    """Lines of the log, as its title tells."""
    (title,) = [line for line in session.lines if line.startswith("── Log")]
    return int(re.findall(r"(\d[\d,]*) ──", title)[-1].replace(",", ""))


def silent(house: House) -> float:
    desk = Desk(house, house.root)
    with desk.screen(size=(160, 45)) as session:
        return cpu_share(session)


def bytes_when_frozen(house: House) -> float:
    desk = Desk(house, house.root)
    with desk.started(sys.executable, "-c", _FROZEN, size=(160, 45)) as session:
        desk.until_known()
        until(lambda: 59 - time.time() % 60 > QUIET_S + SETTLE_S, "a minute that lasts long enough", 60)
        time.sleep(SETTLE_S)
        before = len(session.raw)
        time.sleep(QUIET_S)
        written = len(session.raw) - before
    return float(written)


def two_quiet_runs(house: House) -> float:
    desk = Desk(house, house.root)
    with desk.screen(size=(160, 45), **DOCKER) as session, running(house, DRIP), running(house, DRIP):
        session.wait_for("2 active")
        return cpu_share(session)


def cpu_share(session: PtySession) -> float:
    """Of one core, all threads of the worker and its screen together."""
    time.sleep(SETTLE_S)
    process = psutil.Process(session.process.pid)
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(QUIET_S)
    after, taken = process.cpu_times(), time.monotonic() - began
    return (after.user + after.system - before.user - before.system) / taken


def against_headless(house: House) -> tuple[float, float, float]:
    """A screen that follows against none: the time for what is offered; lines a second flat out; and MB it grew."""
    desk = Desk(house, house.root)
    offers, shares, grown = [], [], 0.0
    for _ in range(PAIRS):
        worker = house.worker(GYOZA_DOCKER_NETWORK="none")
        offered, alone = seconds_for(house, OFFER), seconds_for(house, FLAT_OUT)
        worker.drain()
        with desk.screen(size=(160, 45), **DOCKER) as session:
            warm = house.ended(house.script(f"yes '{LINE}' | head -n 1000000"), 60)
            process = psutil.Process(session.process.pid)
            before = process.memory_info().rss
            offers.append(seconds_for(house, OFFER) / offered)
            shares.append(alone / seconds_for(house, FLAT_OUT))
            grown = max(grown, abs(process.memory_info().rss - before) / MB)
            assert warm.state is RunState.COMPLETED
            desk.ends_well(session)
    return statistics.median(offers), statistics.median(shares), grown


def seconds_for(house: House, script: str) -> float:
    began = time.time()
    (completed,) = events_of(house.ended(house.script(script), 240), EventType.COMPLETED)
    assert completed.received_at is not None
    return completed.received_at.timestamp() - began


@contextmanager
def running(house: House, script: str) -> Iterator[OpRun]:
    """A run that goes on until it is cancelled."""
    run = house.until_state(house.script(script), RunState.RUNNING)
    try:
        yield run
    finally:
        house.client.update_run(run.id, state=RunState.CANCELLED)
        mine, engine = {"label": f"{Label.RUN}={run.id}"}, house.engine
        until(lambda: engine is None or not engine.containers(all=True, filters=mine), "its container is gone")


def main() -> None:
    figures: dict[str, tuple[float, float]] = {}
    measures: dict[str, tuple[Callable[[House], float], float]] = {
        "first frame, s": (first_frame, 0.5),
        "silent, of a core": (silent, 0.02),
        "bytes in 10 s when frozen": (bytes_when_frozen, 0.5),
        "two runs with 5 lines/s, of a core": (two_quiet_runs, 0.04),
        "key in a flood p99, s": (key_in_a_flood, 0.1),
    }
    wanted = sys.argv[1:]
    with place() as house:
        for name, (measure, bound) in measures.items():
            if not wanted or any(word in name for word in wanted):
                figures[name] = (measure(house), bound)
        if not wanted or "headless" in wanted:
            offer, share, grown = against_headless(house)
            figures[f"time for {OFFERED:,} lines at 100,000/s over headless'"] = (offer, 1.05)
            figures["headless' lines/s over ours"] = (1 / share, 1 / 0.8)
            figures[f"MB over {LINES:,} lines"] = (grown, 10)
    if not figures:
        sys.exit(f"no figure's name has {' or '.join(wanted)} in it: {', '.join((*measures, 'headless'))}")
    shares = {name: value / bound for name, (value, bound) in figures.items()}
    told = ", ".join(f"{name} {value:.3g} (at most {bound:g})" for name, (value, bound) in figures.items())
    report(f"screen, {max(shares, key=shares.__getitem__)}", told, max(shares.values()), 1, at_most=True)


if __name__ == "__main__":
    main()
