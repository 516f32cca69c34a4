"""What import-linter cannot see: which modules a headless worker has loaded by the time it has run something."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import gyoza_tui
from gyoza_tui.cli.verb_table import VERBS
from gyoza_tui.models.states import RunState
from tests.commands import environment
from tests.servers import KEY, ServerThread
from tests.waiting import until

NEVER = {"textual", "fastapi", "uvicorn", "starlette", "sqlalchemy", "prometheus_client"}
ON_DEMAND = {"gyoza_tui.metrics_endpoint", "gyoza_tui.worker.monitoring.collector", "http.server"}
"""Loaded where a port for metrics is asked for."""
WORKING = {"docker", "filelock", "gyoza_tui.worker.journal.journal", "httpx", "psutil", "sqlite3"}
"""By what a worker works: it has no place in a process that only shows one."""


def test_a_headless_worker_loads_no_terminal_and_no_server(tmp_path: Path) -> None:
    ops = tmp_path / "ops.toml"
    ops.write_text('[ops.hello]\ncommand = ["/bin/sh", "-c", "echo hello"]\n')
    report = tmp_path / "imports.txt"
    with ServerThread(tmp_path / "server.db") as server, report.open("wb") as err:
        worker = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "gyoza_tui", "--no-ui", "--ops-file", str(ops)],
            cwd=tmp_path,
            env=environment(tmp_path, GYOZA_SERVER_URL=server.url, GYOZA_API_KEY=KEY, GYOZA_MIN_FREE_MB="0"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
        )
        try:
            run = server.client.create_run("local://hello")
            until(lambda: server.client.get_run(run.id).state is RunState.COMPLETED, "the run's end", 30)
            worker.terminate()
            assert worker.wait(20) == 0
        finally:
            worker.kill()
            worker.wait()
    loaded = set(re.findall(r"\| +([\w.]+)$", report.read_text(errors="replace"), re.MULTILINE))
    assert "gyoza_tui.worker.runner" in loaded
    assert {name for name in loaded if name.partition(".")[0] in NEVER} == set()
    assert loaded & ON_DEMAND == set()
    assert {name for name in loaded if name.startswith("gyoza_tui.cli.verbs")} == set()


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("gyoza_tui.worker.journal.row", set()),
        ("gyoza_tui.worker.view.control", {"gyoza_tui.client", "gyoza_tui.worker.slots", "gyoza_tui.worker.parts"}),
        ("gyoza_tui.worker.control_socket.client", {"gyoza_tui.worker.slots", "gyoza_tui.worker.parts"}),
        ("gyoza_tui.ui.host", {"gyoza_tui.client", "gyoza_tui.worker.slots", "gyoza_tui.worker.parts"}),
    ],
)
def test_what_a_view_reads_loads_nothing_of_what_works(module: str, never: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    assert (never | WORKING) & set(loaded) == set()


def test_every_name_of_a_module_in_a_string_is_one() -> None:
    """Verbs, children and what is loaded late are named by strings."""
    root = Path(gyoza_tui.__file__).parent
    sources = [path.read_text() for path in root.rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"[\"'](gyoza_tui(?:\.\w+)+)[\"']", text)}
    named |= {f"gyoza_tui.cli.verbs.{verb.module}" for verb in VERBS.values()}
    assert named >= {"gyoza_tui.server.body_child", "gyoza_tui.cli.verbs.show"}
    assert {name for name in named if find_spec(name) is None} == set()
