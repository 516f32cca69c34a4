"""What is other in tmux: copies go to its buffer, a shell opens beside the screen."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import WorkerState
from tests.commands import COMMAND
from tests.ui.terminal.seat import LINES, seat_at
from tests.ui.terminal.tmux import tmux_session
from tests.waiting import until


@pytest.mark.docker
def test_copies_and_shells(tmp_path: Path, docker_engine: docker.APIClient) -> None:
    with (
        seat_at(tmp_path, docker_engine) as seat,
        tmux_session(seat.desk, columns=120, rows=40, env=seat.settings) as tmux,
    ):
        tmux.type(f"{COMMAND}; echo code $?", "Enter")
        tmux.wait_for("q leave")
        seat.desk.until_known()
        until(lambda: "docker" in seat.client.get_worker(seat.desk.name).backends, "the engine is known")
        run = seat.printing()
        until(lambda: f"line {LINES}" in tmux.text, "its log")

        tmux.type("c")
        until(lambda: tmux("list-buffers"), "a buffer")
        assert tmux("show-buffer") == run.id
        until(lambda: "tmux's buffer" in tmux.text, "the words for it")
        tmux.type("3", "c")
        until(lambda: tmux("show-buffer") == f"line {LINES}", "the line in the buffer")

        tmux.type("e")
        until(lambda: len(tmux("list-panes").splitlines()) == 2, "a second pane")
        tmux.wait_for("~ #")
        tmux.type("echo was here > /tmp/mark", "Enter")
        until(lambda: seat.output_in(run, "cat", "/tmp/mark") == "was here\n", "the file in the container")
        tmux.type("exit", "Enter")
        until(lambda: len(tmux("list-panes").splitlines()) == 1, "one pane")
        assert seat.desk.house.state(run) is RunState.RUNNING

        tmux.type("q")
        until(lambda: "Leave?" in tmux.text, "the question")
        tmux.type("Escape")
        until(lambda: "Leave?" not in tmux.text, "no question")
        assert seat.state == WorkerState.CLAIMING
        seat.cancel_everything()
        tmux.type("D")
        until(lambda: "Drain this worker?" in tmux.text, "the question")
        tmux.type("y")
        until(lambda: "code 0" in tmux.text, "the shell")
