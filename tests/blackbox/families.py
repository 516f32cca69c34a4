"""Runs that submit runs, and what must be true of them when all have ended."""

from __future__ import annotations

import io
import shutil
import sys
import tarfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import docker

import gyoza_tui.op
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.definitions import InputSpec, OpDefinition, ValueType
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.runs import DEFAULT_PRIORITY, OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import House, ends, events_of
from tests.images import PYTHON

TREE: Final = Path(__file__).with_name("tree_op.py.txt")
_SCRIPT: Final = "tree.py"
_FAMILY: Final = "gyoza-test/family:1"
_PAGE: Final = 1000


def define_tree_of(house: House, engine: docker.APIClient | None = None) -> None:
    """`tree@1`, as a local op or as an image of that engine; before the workers are started."""
    if engine is None:
        define_tree(house.client, house.op("tree", *tree_command(house.root)))
    else:
        define_tree(house.client, tree_image(engine))


def define_tree(client: GyozaClient, image: str) -> None:
    specs = {
        "below": InputSpec(type=ValueType.LIST),
        "work_s": InputSpec(type=ValueType.FLOAT, required=False, default=0.0),
    }
    client.upsert_definition(
        OpDefinition(id="tree", version="1", image=image, input_specs=specs, may_submit=MaySubmit.DEFINITIONS)
    )


def tree_command(folder: Path) -> list[str]:
    """Of a local op, with its files in that folder."""
    copy_gyoza_op(folder)
    shutil.copy(TREE, folder / _SCRIPT)
    return [sys.executable, str(folder / _SCRIPT)]


def copy_gyoza_op(folder: Path) -> None:
    """For the ops of that folder to import."""
    shutil.copy(gyoza_tui.op.__file__, folder / "gyoza_op.py")


def tree_image(engine: docker.APIClient) -> str:
    """Built of the op's files as they are now."""
    context = io.BytesIO()
    dockerfile = f'FROM {PYTHON}\nCOPY gyoza_op.py {_SCRIPT} /op/\nCMD ["python3", "/op/{_SCRIPT}"]\n'
    files = {"Dockerfile": dockerfile.encode(), _SCRIPT: TREE.read_bytes()}
    files["gyoza_op.py"] = Path(gyoza_tui.op.__file__).read_bytes()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    context.seek(0)
    for told in engine.build(fileobj=context, custom_context=True, tag=_FAMILY, rm=True, decode=True):
        assert "error" not in told, told
    return _FAMILY


def submit_tree(house: House, below: Sequence[int], work_s: float = 0.0, priority: int = DEFAULT_PRIORITY) -> OpRun:
    inputs = {"below": list(below), "work_s": work_s}
    return house.client.create_run_from_definition("tree", inputs, version="1", priority=priority)


def whole_family(house: House, parents: Iterable[OpRun], number: int, within_s: float) -> list[OpRun]:
    """All runs, once all have ended; `number` of them."""

    deadline = time.monotonic() + within_s
    for run in parents:
        house.ended(run, deadline - time.monotonic())
    runs, cursor = [], None
    while True:
        page = house.client.list_runs(limit=_PAGE, after=cursor)
        runs += [house.client.get_run(run.id) for run in page.items]
        if not (cursor := page.cursor):
            break
    assert len(runs) == number, f"{len(runs)} runs, not {number}"
    return runs


def check_each_ran_once(runs: Iterable[OpRun]) -> None:
    for run in runs:
        assert run.state is RunState.COMPLETED, (run.id, run.state, run.events)
        assert run.current_attempt == 1, (run.id, run.attempts)
        assert len(events_of(run, EventType.STARTED)) == len(ends(run)) == 1, run.events


def most_awake(parents: Iterable[OpRun]) -> int:
    """How many of these runs, and of those below them, were awake at once, by their own clocks."""
    spans = [span for run in parents for span in run.outputs["awake"]]
    changes = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    most = awake = 0
    for _, change in changes:
        awake += change
        most = max(most, awake)
    return most
