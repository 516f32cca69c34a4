"""`runs`: what is listed, by which filter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from gyoza_tui.client import GyozaClient
from gyoza_tui.client._client import Page
from gyoza_tui.models.runs import OpRun
from tests.cli.conftest import Verb
from tests.cli.stage import Actor
from tests.commands import installed
from tests.servers import KEY, ServerThread


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """`waits` (topic nightly), a child of `going`; `failed` and `done` of gpu-01, `going` of gpu-02; all stay so."""
    with ServerThread(tmp_path_factory.mktemp("cluster") / "server.db") as server:
        first, second = Actor(server.client, "gpu-01"), Actor(server.client, "gpu-02")
        first.fail("failed", image="registry.local/train:2")
        first.complete("done", {"loss": 0.5})
        going = second.start("going", image="registry.local/train:2", may_submit="any")
        parent = {"run": "going", "attempt": going.attempt, "lease": going.lease}
        server.client.create_run("busybox", id="waits", event_delivery={"topic": "nightly"}, parent=parent)
        yield server


@pytest.fixture
def mixed(cluster: ServerThread, named: Callable[[ServerThread], None]) -> ServerThread:
    named(cluster)
    return cluster


def ids(text: str) -> list[str]:
    return [run["id"] for run in json.loads(text)]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], ["waits", "going", "done", "failed"]),
        (["state:failed"], ["failed"]),
        (["--failed"], ["failed"]),
        (["--state", "failed,running"], ["going", "failed"]),
        (["state:queued"], ["waits"]),
        (["op:train"], ["going", "failed"]),
        (["op:TRAIN", "state:running"], ["going"]),
        (["--definition", "registry.local/train:2"], ["going", "failed"]),
        (["--definition", "train"], []),
        (["--worker", "gpu-01"], ["done", "failed"]),
        (["--worker", "gpu-0"], []),
        (["worker:gpu-0"], ["going", "done", "failed"]),
        (["worker:=gpu-02,gpu-0"], ["going"]),
        (["worker:gpu-02,nobody"], ["going"]),
        (["--topic", "nightly"], ["waits"]),
        (["--topic", "night"], []),
        (["topic:night"], ["waits"]),
        (["--parent", "goi"], ["waits"]),
        (["--parent", "oing"], []),
        (["--parent", "going,nobody", "--failed"], []),
        (["parent:=going"], ["waits"]),
        (["parent:=goin"], []),
        (["--", "-parent:going", "-state:completed"], ["going", "failed"]),
        (["--since", "1h"], ["waits", "going", "done", "failed"]),
        (["--since", "2099-01-01"], ["waits", "going"]),
        (["run:wa,go"], ["waits", "going"]),
        (["no good"], ["failed"]),
        (["--", "-state:failed", "-op:busybox"], ["going"]),
        (["--failed", "worker:gpu-02"], []),
    ],
)
def test_a_filter_as_arguments_and_as_flags(
    verb: Verb, mixed: ServerThread, arguments: list[str], found: list[str]
) -> None:
    said = verb("runs", "--json", *arguments)
    assert (said.code, ids(said.out)) == (0, found), said.err
    listed = verb("runs", *arguments)
    assert [line.split()[1] for line in listed.out.splitlines()[1:]] == found


def test_a_time_is_that_of_whoever_types_it(mixed: ServerThread, clean_environment: Path) -> None:
    hour_ago = f"{datetime.now(ZoneInfo('Asia/Tokyo')) - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}"
    env = {"TZ": "Asia/Tokyo", "GYOZA_SERVER_URL": mixed.url, "GYOZA_API_KEY": KEY}
    told = installed(clean_environment, "runs", "--json", f"since:{hour_ago}", env=env)
    assert ids(told.stdout) == ["waits", "going", "done", "failed"], told.stderr


def test_another_server_that_knows_no_filter_is_filtered_here_page_by_page(
    verb: Verb, mixed: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = GyozaClient.list_runs

    def knows_none(client: GyozaClient, **query: object) -> Page:
        return real(client, limit=1, after=query.get("after"))  # type: ignore[arg-type]

    monkeypatch.setattr(GyozaClient, "list_runs", knows_none)
    assert ids(verb("runs", "--json", "op:train", "--state", "failed").out) == ["failed"]
    assert json.loads(verb("show", "do", "--json").out)["id"] == "done"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["state:faild"], "did you mean failed?"),
        (["--state", "done"], "no state"),
        (["state:pulling"], "a word of a worker's screen; a server's runs are held, pending, queued,"),
        (["wroker:x"], "did you mean worker?"),
        (["--since", "yesterday"], "is no time"),
        (["x" * 3000], "at most 2000"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_a_filter_that_is_none_is_wrong_usage(
    verb: Verb, mixed: ServerThread, arguments: list[str], words: str
) -> None:
    said = verb("runs", *arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err


def test_none(verb: Verb, mixed: ServerThread) -> None:
    assert verb("runs", "state:cancelled") == (0, "", "no run matches\n")
    assert verb("runs", "state:cancelled", "--json") == (0, "[]\n", "")


def test_the_list_says_what_one_wants_to_know(verb: Verb, mixed: ServerThread) -> None:
    head, waits, going, done, failed = verb("runs").out.splitlines()
    assert head.split() == ["STATE", "RUN", "TRY", "OP", "DONE", "TIME", "AGE", "WORKER", "NOTE"]
    assert "no worker" in waits or "waits" in waits
    assert going.split()[5].endswith("s"), "how long it has been running"
    assert "loss=0.5" in done
    assert "no good" in failed
    exact = verb("runs", "--utc", "--failed").out.splitlines()
    assert exact[0].split()[6] == "CREATED"
    created = mixed.client.get_run("failed").created_at
    assert created is not None
    assert created.strftime("%Y-%m-%dT%H:%M:%SZ") in exact[1]


def test_json_is_of_the_models(verb: Verb, mixed: ServerThread) -> None:
    listed = TypeAdapter(list[OpRun]).validate_json(verb("runs", "--json").out, strict=True)
    assert [run.id for run in listed] == ["waits", "going", "done", "failed"]
    shown = OpRun.model_validate_json(verb("show", "failed", "--json").out, strict=True)
    known = mixed.client.get_run("failed")
    assert shown == known
    assert all("lease" not in run for run in json.loads(verb("runs", "--json").out))


def test_a_limit_counts_what_matches(verb: Verb, mixed: ServerThread) -> None:
    said = verb("runs", "op:train", "-n", "1")
    assert [line.split()[1] for line in said.out.splitlines()[1:]] == ["going"]
    assert said.err == "there are older runs: --limit N lists more than 1\n"
    assert verb("runs", "op:train", "-n", "2").err == ""
