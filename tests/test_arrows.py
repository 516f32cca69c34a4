"""What import-linter cannot see: which modules a headless worker has loaded by the time it has run something."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gyoza_tui.models.states import RunState
from tests.commands import environment
from tests.servers import KEY, ServerThread
from tests.waiting import until

NEVER = {"textual", "fastapi", "uvicorn", "starlette", "sqlalchemy"}


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
