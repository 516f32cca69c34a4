"""What a worker keeps to itself goes over no socket."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.settings import Settings
from gyoza_tui.worker.runner import Worker
from tests.servers import KEY, ServerThread
from tests.waiting import until
from tests.worker.control_socket.served import BareCockpit, attached, bare
from tests.worker.fake_backend import FakeBackend, FakeOp

SECRET = "hunter2-is-secret"
PLAIN = "plain-but-of-the-environment"


@pytest.fixture
def op() -> FakeOp:
    return FakeOp(stdout=f"the token is {SECRET}\n".encode(), ends_at_once=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    with ServerThread(tmp_path / "server.db") as running:
        yield running


@pytest.fixture
def worker(server: ServerThread, tmp_path: Path, op: FakeOp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    backend = FakeBackend({"op": op})
    monkeypatch.setattr(backend, "image_id", lambda image: "sha256:1")
    settings = Settings(
        server_url=server.url,
        api_key=KEY,
        worker_id="w1",
        state_dir=tmp_path / "state",
        pull_policy="never",
        min_free_mb=0,
        stop_grace_s=1,
    )
    worker = Worker(settings, backends={"docker": backend})
    worker.begin()
    yield worker
    worker.close()


def test_no_secret_no_environment_and_no_lease_goes_over_the_socket(
    server: ServerThread, worker: Worker, op: FakeOp
) -> None:
    run = server.client.create_run("op", {"path": "a.jpg"}, env={"PLAIN": PLAIN}, secret_env={"TOKEN": SECRET})
    root = worker.parts.state_dir.root
    until(lambda: worker.control.snapshot().runs and worker.control.log_size(1), "its log")
    [row] = worker.parts.journal.rows()
    assert (row.run.secret_env, row.run.env, bool(row.run.lease)) == ({"TOKEN": SECRET}, {"PLAIN": PLAIN}, True)
    worker.parts.notices.say(f"a word with {SECRET} in it")
    hidden = [SECRET, PLAIN, row.run.lease or "", KEY]
    with bare(root) as cockpit:
        cockpit.ask("watch")
        _ask_all(cockpit, row.key)
        op.go.set()
        until(lambda: not worker.parts.journal.rows(), "the run's end")
        _ask_all(cockpit, row.key)
        cockpit.ask("history", wanted={}, limit=100)
        shown = list(_texts(cockpit.messages))
    assert any(run.id in text for text in shown)
    assert any("the token is ***" in text for text in shown)
    assert any("a word with *** in it" in text for text in shown)
    for value in hidden:
        assert value.encode() not in cockpit.seen
        assert [text for text in shown if value in text] == []


def test_a_worker_that_is_closed_says_how_it_ended(worker: Worker) -> None:
    with attached(worker.parts.state_dir.root) as remote:
        worker.close()
        until(lambda: remote.contact().ended == worker.parts.ending.words, "its good-bye")


def _ask_all(cockpit: BareCockpit, key: int) -> None:
    for call in ("details", "children", "describe", "log_size", "shell", "log_bytes"):
        cockpit.ask(call, key=key)
    cockpit.ask("log_lines", key=key, start=0, count=100)
    for text in (SECRET, None):
        cockpit.ask("log_search", key=key, query=[text], line=0)
    for call in ("snapshot", "duties", "samples", "notices", "checks", "why_queued", "contact"):
        cockpit.ask(call)


def _texts(value: Any) -> Iterator[str]:
    """Every text in it, and what those of base64 hold."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from (key, *_texts(each))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
        with suppress(ValueError):
            yield base64.urlsafe_b64decode(value).decode(errors="replace")
