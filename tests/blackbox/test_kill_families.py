"""`kill -9` of a worker with one slot after every single side effect, while a run on it waits for others below it.

`make test` takes every 16th moment; `make test-long` takes all of them.
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

from gyoza_tui.client import GyozaClient
from tests.blackbox.families import define_tree, tree_command, tree_image
from tests.blackbox.killing import Result
from tests.servers import KEY, ServerThread

BELOW = [2, 1]
RUNS_BELOW = 2 + 2
LANES = 3
SHARE = 16
BACKENDS = [pytest.param("local"), pytest.param("docker", marks=pytest.mark.docker)]


def _results(tmp_path: Path, backend: str, firsts: Sequence[int], every: int) -> list[Result]:
    with ThreadPoolExecutor(len(firsts)) as pool:
        lanes = list(pool.map(lambda first: _lane(tmp_path / str(first), backend, first, every), firsts))
    for lane in lanes:
        assert [result.killed for result in lane] == [True] * (len(lane) - 1) + [False]
    return [result for lane in lanes for result in lane]


def _lane(home: Path, backend: str, first: int, every: int) -> list[Result]:
    home.mkdir()
    ops = home / "ops.toml"
    ops.write_text(f"[ops.tree]\ncommand = {json.dumps(tree_command(home))}\n")
    with docker.APIClient() as engine:
        image = tree_image(engine) if backend == "docker" else "local://tree"
    with ServerThread(home / "server.db") as server, GyozaClient(server.url, KEY) as client:
        define_tree(client, image)
        scenario = {"url": server.url, "key": KEY, "home": str(home), "image": image, "ops_file": str(ops)}
        config = home / "scenario.json"
        config.write_text(json.dumps(scenario | {"below": BELOW, "max_runs": 1, "first": first, "every": every}))
        ended = subprocess.run(
            [sys.executable, "-m", "tests.blackbox.killing", str(config)],
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [Result(**json.loads(line)) for line in ended.stdout.splitlines()]


def _check(results: Sequence[Result]) -> None:
    assert max(result.k for result in results) > 60, "there are more side effects than that"
    for result in results:
        assert (result.state, result.started, result.ends, result.attempts) == ("COMPLETED", 1, 1, 1), result
        assert result.family == ["COMPLETED in attempt 1, started 1 times"] * RUNS_BELOW, result
        assert result.left == [], result


@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", BACKENDS)
def test_some_moments(tmp_path: Path, backend: str) -> None:
    _check(_results(tmp_path, backend, [5], SHARE))


@pytest.mark.long
@pytest.mark.timeout(1600)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_moment(tmp_path: Path, backend: str) -> None:
    _check(_results(tmp_path, backend, range(1, LANES + 1), LANES))
