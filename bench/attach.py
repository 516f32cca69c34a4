"""From a key to its repaint on an attached screen, against the worker's own screen beside it."""

from __future__ import annotations

import statistics

from bench.place import place
from bench.report import python_start_ms, report
from bench.ui import DOCKER, DRIP, key_to_repaint, running
from tests.commands import COMMAND
from tests.ui.terminal.desk import Desk

KEYS = 40
SIZE = (160, 45)


def main() -> None:
    with place() as house:
        desk = Desk(house, house.root)
        with (
            desk.screen(size=SIZE, **DOCKER) as own,
            running(house, DRIP),
            desk.started(COMMAND, "attach", size=SIZE, **DOCKER) as attached,
        ):
            for session in (own, attached):
                session.wait_for("step of a quiet run")
            pairs = [(key_to_repaint(own), key_to_repaint(attached)) for _ in range(KEYS)]
            attached.type("\x03")
            attached.process.wait(10)
    embedded_ms, attached_ms = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
    detail = (
        f"medians of {KEYS} keys in turn: attached {attached_ms:.1f} ms, the worker's own {embedded_ms:.1f} ms; "
        f"python -c pass {python_start_ms():.1f} ms"
    )
    report("key to repaint, attached beyond its own", detail, attached_ms - embedded_ms, 5, at_most=True, unit=" ms")


if __name__ == "__main__":
    main()
