"""A worker of another user is named as that, and never a traceback."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from gyoza_tui.cli.failures import CliError, ExitCode
from gyoza_tui.cli.local_workers import reached
from gyoza_tui.settings import load
from gyoza_tui.worker.state_dir.state_dir import StateDir, StateDirError, StateDirInUse

OTHER = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("closed", ["worker", "base"])
def test_another_users_worker(clean_environment: Path, closed: str) -> None:
    """What is said to root's neighbour, whom root's directories stop."""
    for path in (clean_environment, *clean_environment.parents[:3]):
        path.chmod(0o755)
    settings = load()
    with closing(StateDir.open(settings.state_dir, "desk")) as state_dir:
        for path in (settings.state_dir, state_dir.root.parent):
            path.chmod(0o700 if closed == "base" else 0o755)
        pid = os.fork()
        if pid == 0:
            os._exit(_refused(settings.state_dir))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _refused(base: Path) -> int:
    os.setgid(OTHER)
    os.setuid(OTHER)
    for named in ("desk", None) if not os.access(base, os.X_OK) else ("desk",):
        try:
            reached(load(), named)
        except CliError as error:
            if error.code is not ExitCode.USAGE or "is closed to this user" not in str(error):
                return 1
        else:
            return 2
    try:
        StateDir.open(base, "desk")
    except StateDirInUse:
        return 3
    except StateDirError as error:
        return 0 if "cannot be used" in str(error) else 4
    return 5
