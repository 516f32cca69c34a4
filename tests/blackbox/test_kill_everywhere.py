"""`kill -9` of the worker after every single side effect: one container, one STARTED, one end, the log whole."""

from __future__ import annotations

import json
import subprocess
import sys
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

local = pytest.param("local", id="local")
engine = pytest.param("docker", id="docker", marks=pytest.mark.docker)
engine_long = pytest.param("docker", id="docker", marks=[pytest.mark.docker, pytest.mark.long])


def _results(tmp_path: Path, backend: str, script: str) -> list[list[Result]]:
    """By lane: each has a server and a worker of its own and takes every third moment, for a trial mostly waits."""
    with ThreadPoolExecutor(LANES) as pool:
        return list(pool.map(lambda first: _lane(tmp_path / str(first), backend, script, first), range(1, LANES + 1)))


def _lane(home: Path, backend: str, script: str, first: int) -> list[Result]:
    home.mkdir()
    scenario: dict[str, object] = {"home": str(home), "key": KEY, "cancel": script == RUN_ON}
    scenario |= {"first": first, "every": LANES}
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
    assert len(results) > 15 + LANES, "there are more side effects than that"
    for result in results:
        assert result.state == ENDS[script], result
        assert (result.started, result.ends, result.attempts) == (1, 1, 1), result
        assert sorted(result.log.splitlines()) == ["err", "out"], result
        assert result.left == [], result


@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", [local, engine])
def test_a_run_that_succeeds(tmp_path: Path, backend: str) -> None:
    _check(_results(tmp_path, backend, SUCCEED), SUCCEED)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", [local, engine_long])
@pytest.mark.parametrize("script", [pytest.param(FAIL, id="fails"), pytest.param(RUN_ON, id="cancelled")])
def test_a_run_that_does_not(tmp_path: Path, backend: str, script: str) -> None:
    _check(_results(tmp_path, backend, script), script)


@pytest.fixture(autouse=True)
def _no_container_stays(request: pytest.FixtureRequest) -> object:
    yield
    if "docker" in request.node.callspec.id:
        with docker.APIClient() as client:
            assert client.containers(all=True, filters={"label": f"{Label.WORKER}=killed"}) == []
