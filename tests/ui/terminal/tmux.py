"""The command in tmux as it comes: its own TERM, no COLORTERM, no configuration."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.ui.terminal.desk import Desk
from tests.waiting import until


class Tmux:
    def __init__(self, desk: Desk, env: Mapping[str, str]) -> None:
        self._desk = desk
        self._environment = desk.environment(**env, TMUX_TMPDIR=str(desk.root))
        self._socket = f"gyoza-{uuid.uuid4().hex[:8]}"

    def __call__(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", *words],
            env=self._environment,
            cwd=self._desk.root,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    @property
    def lines(self) -> list[str]:
        return self("capture-pane", "-p", "-t", "desk").split("\n")[:-1]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def type(self, *keys: str) -> None:
        self("send-keys", "-t", "desk", *keys)

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.text, f"{text!r} in tmux")


@contextmanager
def tmux_session(
    desk: Desk, *, columns: int = 100, rows: int = 30, env: Mapping[str, str] | None = None
) -> Iterator[Tmux]:
    """With a shell in it."""
    (desk.root / "no-config.toml").touch()
    tmux = Tmux(desk, env or {})
    tmux("new-session", "-d", "-s", "desk", "-x", str(columns), "-y", str(rows), "bash --norc")
    try:
        yield tmux
    finally:
        tmux("kill-server")
