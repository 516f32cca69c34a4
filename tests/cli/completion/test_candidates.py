"""What the shell is offered, of a live server."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer

from gyoza_tui.cli.completion import candidates, compound_words
from gyoza_tui.models.definitions import InputSpec, OpDefinition, ValueType
from gyoza_tui.models.filters import Key
from gyoza_tui.models.states import RunState
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.servers import ServerThread


@pytest.fixture
def offered(clean_environment: object) -> Callable[..., list[str]]:
    """The values that a callback offers for what was typed, with these flags behind the verb."""

    def ask(callback: Callable[[typer.Context, str], list[candidates.Offer]], typed: str, **flags: Any) -> list[str]:
        context = typer.Context(typer.main.get_command(_app()))
        context.params = dict(flags)
        return [offer.value for offer in callback(context, typed)]

    return ask


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(lambda: None)
    return app


Ask = Callable[..., list[str]]


def test_runs_by_the_beginning_of_their_ids(served: ServerThread, offered: Ask) -> None:
    for name in ("abc", "abd", "b"):
        served.client.create_run("busybox", id=name)
    assert offered(candidates.complete_run, "") == ["b", "abd", "abc"]
    assert offered(candidates.complete_run, "ab") == ["abd", "abc"]
    assert offered(candidates.complete_run, "zz") == []


def test_what_may_be_done_with_a_run_decides_whether_it_is_offered(served: ServerThread, offered: Ask) -> None:
    for name in ("waits", "ended"):
        served.client.create_run("busybox", id=name)
    served.client.update_run("ended", state=RunState.CANCELLED)
    assert offered(candidates.complete_open_run, "") == ["waits"]
    assert offered(candidates.complete_retryable_run, "") == ["ended"]


def test_workers_and_definitions(served: ServerThread, offered: Ask) -> None:
    served.client.heartbeat(worker_id="gpu-01", resources={})
    for version in ("1.0", "2.0"):
        served.client.upsert_definition(OpDefinition(id="train", version=version, image="busybox"))
    assert offered(candidates.complete_worker, "gpu") == ["gpu-01"]
    assert offered(candidates.complete_worker, "cpu") == []
    assert offered(candidates.complete_definition, "t") == ["train"]
    assert offered(candidates.complete_definition, "train@") == ["train@1.0", "train@2.0"]
    assert offered(candidates.complete_target, "tr") == ["train@1.0", "train@2.0"], "a bare name is an image"


def test_terms_of_a_filter(served: ServerThread, offered: Ask) -> None:
    served.client.heartbeat(worker_id="gpu-01", resources={})
    served.client.upsert_definition(OpDefinition(id="train", version="1", image="busybox"))
    served.client.create_run("busybox", id="abc")
    term = compound_words.complete_term
    assert offered(term, "s") == ["state:", "since:"]
    assert len(offered(term, "")) == len(Key)
    assert offered(term, "state:pending,F") == ["state:pending,failed"]
    assert offered(term, "since:1") == ["since:10m", "since:1h", "since:1d"]
    assert offered(term, "op:t") == ["op:train"]
    assert offered(term, "worker:") == ["worker:gpu-01"]
    assert offered(term, "worker:=") == ["worker:=gpu-01"]
    assert offered(term, "run:a") == ["run:abc"]
    assert offered(term, "topic:n") == offered(term, "none:n") == []
    assert offered(compound_words.complete_open_run_or_term, "") == ["abc", *offered(term, "")]
    assert offered(compound_words.complete_retryable_run_or_term, "st") == ["state:"]
    assert offered(compound_words.complete_open_run_or_term, "run:a") == ["run:abc"]


def test_inputs_of_the_definition_that_is_named(served: ServerThread, offered: Ask) -> None:
    specs = {"epochs": InputSpec(type=ValueType.INT, default=3), "fast": InputSpec(type=ValueType.BOOL)}
    served.client.upsert_definition(OpDefinition(id="train", version="1", image="busybox", input_specs=specs))
    ask = compound_words.complete_input
    for target in ("train@1", "train@"):
        assert offered(ask, "", target=target) == ["epochs=", "fast="]
    assert offered(ask, "e", target="train@1") == ["epochs="]
    assert offered(ask, "", target="train@1", pairs=["epochs=4"]) == ["fast="]
    assert offered(ask, "fast=", target="train@1") == ["fast=true", "fast=false"]
    assert offered(ask, "epochs=", target="train@1") == []
    assert offered(ask, "", target="busybox") == offered(ask, "", target="train@9") == offered(ask, "") == []


def test_no_more_than_somebody_can_read(served: ServerThread, offered: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "OFFERED_MAX", 2)
    for name in ("a", "b", "c"):
        served.client.create_run("busybox", id=name)
    assert offered(candidates.complete_run, "") == ["c", "b"]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Somebody listens there and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_nothing_and_no_word_on_any_error(
    served: ServerThread, offered: Ask, silent_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    served.client.create_run("busybox", id="abc")
    begun = time.monotonic()
    for url in ("http://127.0.0.1:1", "not a url", f"http://127.0.0.1:{silent_port}"):
        assert offered(candidates.complete_run, "", server=url) == []
    assert time.monotonic() - begun < 15
    assert capsys.readouterr() == ("", "")
    assert offered(candidates.complete_run, "", server=served.url) == ["abc"]


def test_workers_that_run_here(clean_environment: Path, offered: Ask) -> None:
    base = clean_environment / "state"
    StateDir.open(base, "gone").close()
    with closing(StateDir.open(base, "gpu-01")), closing(StateDir.open(base, "gpu-02")):
        assert offered(candidates.complete_worker_here, "") == ["gpu-01", "gpu-02"]
        assert offered(candidates.complete_worker_here, "gpu-02") == ["gpu-02"]
        assert offered(candidates.complete_worker_here, "", state_dir=str(base / "other")) == []
    assert offered(candidates.complete_worker_here, "") == []
