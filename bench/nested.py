"""What it costs that runs wait for runs: from a child's end until its parent goes on, and a thousand children of one
parent against a thousand runs that are submitted from outside.

A child's end is the engine's `die` of its container; when the parent goes on is told by the parent's own clock.
"""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from typing import Final

import docker
from docker.utils import kwargs_from_env

from bench.place import place
from bench.report import Figure, python_start_ms, report_all
from gyoza_tui.backends.base import Label
from gyoza_tui.models.definitions import InputSpec, OpDefinition, ValueType
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.states import RunState
from tests.blackbox.families import copy_gyoza_op, define_tree, submit_tree, tree_image
from tests.blackbox.house import House
from tests.images import BUSYBOX
from tests.waiting import until

WAITS: Final = 30
WARM_UP: Final = 3
CHILDREN: Final = 1000
PAIRS: Final = 3
SLOTS: Final = 4
_MANY: Final = """
from gyoza_op import op, submit, wait


@op
def many(number: int):
    wait([submit("nothing@1", {"number": each}) for each in range(number)])


many.run()
"""


def main() -> None:
    waits, bare = _waits()
    nested, plain = _thousands()
    start_ms = python_start_ms()
    report_all(
        Figure(
            "child's end until its parent goes on",
            f"median of {WAITS}; `docker run --rm` of the same child takes {1000 * bare:.0f} ms, "
            f"`python -c pass` {start_ms:.1f} ms",
            1000 * statistics.median(waits),
            50,
            unit=" ms",
        ),
        Figure(
            f"{CHILDREN} children / {CHILDREN} runs",
            f"medians of {PAIRS} pairs on {SLOTS} slots: {statistics.median(nested):.1f} s and "
            f"{statistics.median(plain):.1f} s",
            statistics.median(nested) / statistics.median(plain),
            1.15,
        ),
    )


def _waits() -> tuple[list[float], float]:
    """Seconds of each wait, and of a bare `docker run`."""
    with place() as house, _Deaths() as deaths:
        assert house.engine is not None
        define_tree(house.client, tree_image(house.engine))
        worker = house.worker(1)
        taken = []
        for _ in range(WARM_UP + WAITS):
            run = house.ended(submit_tree(house, [1]))
            assert run.state is RunState.COMPLETED, run.events
            goes_on = run.outputs["awake"][1][0]
            taken.append(goes_on - deaths.of(run.outputs["children"][0]))
            house.until_free(worker)
        command = ["docker", "run", "--rm", "--network", "none", BUSYBOX, "true"]
        bare = []
        for _ in range(WARM_UP + WAITS):
            began = time.time()
            subprocess.run(command, check=True, capture_output=True)
            bare.append(time.time() - began)
    return taken[WARM_UP:], statistics.median(bare[WARM_UP:])


class _Deaths:
    """When containers ended, by their run."""

    def __init__(self) -> None:
        self._engine = docker.APIClient(**kwargs_from_env(), timeout=24 * 3600)
        filters = {"type": "container", "event": "die", "label": Label.WORKER}
        self._stream = self._engine.events(filters=filters, decode=True)
        self._at: dict[str, float] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> _Deaths:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def of(self, run_id: str) -> float:
        """UTC seconds."""
        return until(lambda: self._at.get(run_id), f"the end of {run_id}")

    def _read(self) -> None:
        for event in self._stream:
            self._at[event["Actor"]["Attributes"][Label.RUN]] = event["timeNano"] / 1e9


def _thousands() -> tuple[list[float], list[float]]:
    """Seconds for the children of one parent, and for runs from outside, in pairs."""
    nested, plain = [], []
    with place() as house:
        copy_gyoza_op(house.root)
        script = house.root / "many.py"
        script.write_text(_MANY)
        number = {"number": InputSpec(type=ValueType.INT)}
        for name, command in (("nothing", ["true"]), ("many", ["python3", str(script)])):
            image = house.op(name, *command)
            house.client.upsert_definition(
                OpDefinition(id=name, version="1", image=image, input_specs=number, may_submit=MaySubmit.DEFINITIONS)
            )
        house.worker(SLOTS)
        for _ in range(PAIRS):
            nested.append(_parent(house))
            plain.append(_runs(house))
    return nested, plain


def _parent(house: House) -> float:
    began = time.monotonic()
    parent = house.client.create_run_from_definition("many", {"number": CHILDREN}, version="1")
    assert house.ended(parent, within_s=600).state is RunState.COMPLETED
    return time.monotonic() - began


def _runs(house: House) -> float:
    began = time.monotonic()
    runs = [
        house.client.create_run_from_definition("nothing", {"number": each}, version="1") for each in range(CHILDREN)
    ]
    for run in runs:
        assert house.ended(run, within_s=600).state is RunState.COMPLETED
    return time.monotonic() - began


if __name__ == "__main__":
    main()
