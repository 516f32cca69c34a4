"""The installed command, in processes of its own and with no setting but the test's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

COMMAND = str(Path(sys.executable).parent / "gyoza-tui")


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's without any setting, and what the test adds; all state below `home`."""
    config = home / "config.toml"
    config.touch()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GYOZA_")}
    return clean | {
        "GYOZA_CONFIG": str(config),
        "GYOZA_STATE_DIR": str(home / "state"),
        "GYOZA_WORKER_ID": "desk",
        **more,
    }


def installed(
    home: Path, *arguments: str, timeout_s: float = 60, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=home,
        env=environment(home, **(env or {})),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def unread(home: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end, with a stdout whose reader is gone, in the environment that the test has set."""
    far, near = os.pipe()
    os.close(far)
    try:
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=near,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(near)


class Started:
    """The command at work, its output in a file. Leaving kills it."""

    def __init__(self, home: Path, *arguments: str, env: Mapping[str, str] | None = None, name: str = "out") -> None:
        self.out = home / f"{name}.txt"
        self.err = home / f"{name}-err.txt"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [COMMAND, *arguments],
                cwd=home,
                env=environment(home, **(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()
