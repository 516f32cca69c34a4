"""The socket of an op through a whole worker: who gets one, from where it works, and what an op cannot do with it."""

from __future__ import annotations

import io
import stat
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

import gyoza_tui.op
from gyoza_tui.models.definitions import OpDefinition
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.blackbox.house import House
from tests.images import PYTHON
from tests.servers import KEY, WORK_KEY
from tests.waiting import until

NOBODY_PYTHON = "gyoza-test/nobody-python:1"
LOADED = """
import json, os, sys, types
given = json.load(open(os.environ["GYOZA_INPUT_JSON"]))
gyoza_op = sys.modules["gyoza_op"] = types.ModuleType("gyoza_op")
exec(given["helper"], gyoza_op.__dict__)
from gyoza_op import *
"""
"""`import gyoza_op` in an image that has no such file."""
TWICE = LOADED + 'outputs(twice=2 * given["n"])'
PARENT = """
children = [submit("twice@1", {"n": n, "helper": given["helper"]}) for n in range(4)]
outputs(
    sum=sum(child.result()["twice"] for child in as_completed(children)),
    user=os.getuid(),
    interfaces=sorted(os.listdir("/sys/class/net")),
    environment="\\n".join(f"{name}={value}" for name, value in os.environ.items()),
)
"""
BACKENDS = [pytest.param("local"), pytest.param("docker", marks=pytest.mark.docker)]


def helper() -> str:
    return Path(gyoza_tui.op.__file__).read_text()


def image_of_nobody(engine: docker.APIClient) -> str:
    """Python, run as a user without rights."""
    dockerfile = io.BytesIO(f"FROM {PYTHON}\nUSER 65534\n".encode())
    list(engine.build(fileobj=dockerfile, tag=NOBODY_PYTHON, rm=True))
    return NOBODY_PYTHON


class Family:
    def __init__(self, house: House, backend: str) -> None:
        self.house = house
        self.backend = backend
        image = self._image("twice", TWICE, image=PYTHON)
        definition = OpDefinition(id="twice", version="1", input_specs={"n": {}, "helper": {}}, **image)
        house.client.upsert_definition(definition)

    def parent(self, text: str, image: str = PYTHON, *, may_submit: str = "definitions") -> OpRun:
        made = self._image("parent", LOADED + textwrap.dedent(text), image=image)
        return self.house.client.create_run(inputs={"helper": helper()}, may_submit=may_submit, **made)

    def _image(self, name: str, text: str, image: str) -> dict[str, Any]:
        if self.backend == "docker":
            return {"image": image, "command": ["python3", "-c", text]}
        return {"image": self.house.op(name, sys.executable, "-c", text)}


@pytest.fixture
def family(request: pytest.FixtureRequest) -> Callable[[str], Family]:
    def made(backend: str) -> Family:
        house = request.getfixturevalue("docker_house" if backend == "docker" else "house")
        return Family(house, backend)

    return made


def ended(house: House, run: OpRun) -> OpRun:
    run = house.ended(run, 90)
    assert run.state is RunState.COMPLETED, house.workers[0].words + str(run.events)
    return run


@pytest.mark.parametrize("backend", BACKENDS)
def test_children_of_one_slot_by_a_workers_key(backend: str, family: Callable[[str], Family]) -> None:
    of = family(backend)
    house = of.house
    image = image_of_nobody(house.engine) if house.engine is not None else PYTHON
    if backend == "local":
        parent = of.parent(PARENT)
        worker = house.worker(1, GYOZA_API_KEY=WORK_KEY)
    else:
        worker = house.worker(1, GYOZA_API_KEY=WORK_KEY)
        parent = of.parent(PARENT, image)
    run = ended(house, parent)
    assert run.outputs["sum"] == 12
    if backend == "docker":
        assert (run.outputs["user"], run.outputs["interfaces"]) == (65534, ["lo"])
    secrets = (KEY, WORK_KEY, str(run.lease or "no lease is shown"))
    assert not any(secret in run.outputs["environment"] for secret in secrets)
    assert not any(secret.encode() in worker.log(run) for secret in secrets)
    children = [each for each in house.client.list_runs().items if each.id != run.id]
    assert {(each.parent_id, each.current_attempt) for each in children} == {(run.id, 1)}
    house.until_free(worker)


@pytest.mark.docker
def test_a_volume_in_the_place_of_the_directory_has_no_socket(docker_house: House) -> None:
    of = Family(docker_house, "docker")
    worker = docker_house.worker(1, GYOZA_DOCKER_IO="volume")
    run = of.parent("""
        try:
            submit("twice@1")
        except NotUnderGyoza as why:
            outputs(why=str(why), socket=os.environ.get("GYOZA_SOCKET"))
    """)
    outputs = ended(docker_house, run).outputs
    assert outputs == {
        "why": "this run may create no runs: this worker's containers cannot reach its socket: it needs docker_io=bind",
        "socket": None,
    }
    docker_house.until_free(worker)


@pytest.mark.parametrize(
    ("may_submit", "allowed", "words"),
    [
        ("no", "any", "this run may not create runs: set may_submit in its definition"),
        ("any", "no", "this run may create no runs: GYOZA_ALLOW_SUBMIT of this worker is no"),
        (
            "any",
            "definitions",
            "'twice' is an image: this run may submit definitions only",
        ),
    ],
)
def test_without_the_right_an_op_is_told_why(may_submit: str, allowed: str, words: str, house: House) -> None:
    of = Family(house, "local")
    text = """
        try:
            submit("twice")
        except (NotUnderGyoza, SubmitRefused) as why:
            outputs(why=str(why))
    """
    run = of.parent(text, may_submit=may_submit)
    worker = house.worker(1, GYOZA_ALLOW_SUBMIT=allowed)
    assert ended(house, run).outputs["why"].startswith(words)
    assert len(house.client.list_runs().items) == 1
    house.until_free(worker)


SWAPPED = """
folder = os.path.dirname(os.environ["GYOZA_SOCKET"])
first = submit("twice@1", {"n": 1, "helper": given["helper"]}).result()["twice"]
os.unlink(os.environ["GYOZA_SOCKET"])
os.symlink("PRECIOUS", os.environ["GYOZA_SOCKET"])
info("swapped")
import time
while not os.path.exists(folder + "/go") and os.path.islink(os.environ["GYOZA_SOCKET"]):
    time.sleep(0.05)
outputs(first=first, second=submit("twice@1", {"n": 2, "helper": given["helper"]}).result()["twice"])
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_link_at_the_sockets_name_is_followed_by_no_later_start(
    backend: str, family: Callable[[str], Family]
) -> None:
    """The op is root in its container. The next start of the worker makes a socket there again."""
    of = family(backend)
    house = of.house
    precious = house.root / "precious"
    precious.write_text("mine")
    precious.chmod(0o600)
    if backend == "local":
        run = of.parent(SWAPPED.replace("PRECIOUS", str(precious)))
        worker = house.worker(1)
    else:
        worker = house.worker(1)
        run = of.parent(SWAPPED.replace("PRECIOUS", str(precious)))
    until(lambda: "swapped" in str(house.client.get_run(run.id).events), "it has swapped them", 60)
    worker.kill()
    worker.start()
    outputs = ended(house, run).outputs
    assert outputs == {"first": 2, "second": 4}
    assert (precious.read_text(), stat.S_IMODE(precious.stat().st_mode)) == ("mine", 0o600)
    house.until_free(worker)


def test_a_local_op_whose_directory_has_become_a_link_gets_no_socket_elsewhere(house: House) -> None:
    of = Family(house, "local")
    elsewhere = house.root / "elsewhere"
    elsewhere.mkdir()
    run = of.parent(f"""
        import shutil, time
        folder = os.path.dirname(os.environ["GYOZA_SOCKET"])
        shutil.move(folder, {str(house.root / "moved")!r})
        os.symlink({str(elsewhere)!r}, folder)
        info("swapped")
        while not os.path.exists({str(house.root / "go")!r}):
            time.sleep(0.05)
        os.unlink(folder)
        shutil.move({str(house.root / "moved")!r}, folder)
    """)
    worker = house.worker(1)
    until(lambda: "swapped" in str(house.client.get_run(run.id).events), "it has swapped them", 60)
    worker.kill()
    worker.start()
    until(lambda: "there is no socket for its op" in worker.words, "the worker has seen it", 60)
    assert list(elsewhere.iterdir()) == []
    (house.root / "go").touch()
    ended(house, run)
    house.until_free(worker)
