"""`kill -9` of the worker after every single side effect: one container, one STARTED, one end, the log whole.

`make test` takes every sixth moment, in each scenario others; `make test-long` takes all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from gyoza_tui.backends.base import Label
from tests.blackbox.killing import Result
from tests.images import BUSYBOX
from tests.servers import KEY, ServerThread

SUCCEED = "echo out; echo err >&2; sleep 0.1; echo '{\"x\": 1}' > $GYOZA_OUTPUT_JSON"
FAIL = "echo out; echo err >&2; sleep 0.1; exit 3"
RUN_ON = "echo out; echo err >&2; exec sleep 100"
LANES = 3
ENDS = {SUCCEED: "COMPLETED", FAIL: "FAILED", RUN_ON: "CANCELLED"}

SHARE = 6

engine = pytest.param("docker", id="docker", marks=pytest.mark.docker)


def _results(tmp_path: Path, backend: str, script: str, firsts: Sequence[int], every: int) -> list[list[Result]]:
    """By lane: each has a server and a worker of its own, for a trial mostly waits."""
    with ThreadPoolExecutor(len(firsts)) as pool:
        return list(pool.map(lambda first: _lane(tmp_path / str(first), backend, script, first, every), firsts))


def _lane(home: Path, backend: str, script: str, first: int, every: int) -> list[Result]:
    home.mkdir()
    scenario: dict[str, object] = {"home": str(home), "key": KEY, "cancel": script == RUN_ON}
    scenario |= {"first": first, "every": every}
    if backend == "local":
        ops = home / "ops.toml"
        command = json.dumps(script.replace("{", "{{").replace("}", "}}"))
        ops.write_text(f"[ops.op]\ncommand = ['sh', '-c', {command}]\n")
        scenario |= {"image": "local://op", "ops_file": str(ops)}
    else:
        scenario |= {"image": BUSYBOX, "command": ["sh", "-c", script]}
    with ServerThread(home / "server.db") as server:
        config = home / "scenario.json"
        config.write_text(json.dumps(scenario | {"url": server.url}))
        ended = subprocess.run(
            [sys.executable, "-m", "tests.blackbox.killing", str(config)],
            capture_output=True,
            text=True,
            timeout=580,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [Result(**json.loads(line)) for line in ended.stdout.splitlines()]


def _check(lanes: list[list[Result]], script: str) -> None:
    for lane in lanes:
        assert [result.killed for result in lane] == [True] * (len(lane) - 1) + [False]
    results = [result for lane in lanes for result in lane]
    assert max(result.k for result in results) > 15, "there are more side effects than that"
    for result in results:
        assert result.state == ENDS[script], result
        assert (result.started, result.ends, result.attempts) == (1, 1, 1), result
        assert sorted(result.log.splitlines()) == ["err", "out"], result
        assert result.left == [], result


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("backend", "script", "first"),
    [
        pytest.param("local", SUCCEED, 1, id="local-succeeds"),
        pytest.param("docker", SUCCEED, 2, id="docker-succeeds", marks=pytest.mark.docker),
        pytest.param("local", FAIL, 3, id="local-fails"),
        pytest.param("local", RUN_ON, 4, id="local-cancelled"),
    ],
)
def test_some_moments(tmp_path: Path, backend: str, script: str, first: int) -> None:
    _check(_results(tmp_path, backend, script, [first], SHARE), script)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", ["local", engine])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(SUCCEED, id="succeeds"),
        pytest.param(FAIL, id="fails"),
        pytest.param(RUN_ON, id="cancelled"),
    ],
)
def test_every_moment(tmp_path: Path, backend: str, script: str) -> None:
    _check(_results(tmp_path, backend, script, range(1, LANES + 1), LANES), script)


@pytest.fixture(autouse=True)
def _no_container_stays(request: pytest.FixtureRequest) -> object:
    yield
    if "docker" in request.node.callspec.id:
        with docker.APIClient() as client:
            assert client.containers(all=True, filters={"label": f"{Label.WORKER}=killed"}) == []
