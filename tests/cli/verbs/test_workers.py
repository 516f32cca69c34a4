"""`workers`: who is there and what is free."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from gyoza_tui.models.workers import ClaimRequest, WorkerView
from tests.cli.conftest import Verb
from tests.cli.stage import Actor
from tests.servers import ServerThread

GPUS = [{"id": 0, "vram_mb": 24576, "tags": ["rtx4090"]}, {"id": 1, "vram_mb": 24576}]


@pytest.fixture
def lab(served: ServerThread) -> ServerThread:
    """`gpu-01` has one of its two GPUs, 2 of 16 cores and 8 of 64 GB in use; `cpu-01` is paused."""
    report = {
        "resources": {"cpu_cores": 16, "ram_mb": 65536, "gpus": GPUS},
        "tags": ["lab"],
        "max_runs": 4,
        "hostname": "box\x1b[2J",
        "version": "0.1",
        "backends": ["docker", "local"],
        "ops": ["count"],
    }
    beat = {"worker_id": "gpu-01", **report}
    actor = Actor.__new__(Actor)
    actor.client, actor.name = served.client, "gpu-01"
    served.client.heartbeat(**beat)
    run = actor.take("abc", constraints={"cpu": 2, "ram_mb": 8192, "vram_mb": 8000})
    listed = {"id": "abc", "image": "busybox", "attempt": 1, "lease": run.lease, "phase": "PULLING"}
    served.client.heartbeat(**beat, running_ops=[listed])
    served.client.heartbeat(worker_id="cpu-01", resources={"cpu_cores": 4, "ram_mb": 8192}, state="paused")
    return served


def test_the_table(verb: Verb, lab: ServerThread) -> None:
    head, cpu, gpu = verb("workers").out.splitlines()
    assert re.split(r"\s{2,}", head) == [
        "STATE", "WORKER", "FREE CPU", "FREE RAM GB", "FREE GPU", "FREE VRAM GB", "FREE RUNS", "RUNNING", "SEEN"
    ]  # fmt: skip
    assert cpu.split()[:7] == ["paused", "cpu-01", "4/4", "8/8", "-", "-", "-"]
    assert gpu.split()[:8] == ["claiming", "gpu-01", "14/16", "56/64", "1/2", "40/48", "3/4", "abc"]
    assert gpu.split()[8].endswith("s")


def test_what_a_worker_cannot_use_is_named(verb: Verb, lab: ServerThread) -> None:
    lab.client.heartbeat(worker_id="cpu-01", backends=[], trouble={"docker": "starts no container\x1b[2J"})
    listed = verb("workers")
    assert listed.err.splitlines() == ["cpu-01: docker: starts no container␛[2J"]
    assert "trouble  docker: starts no container␛[2J" in verb("workers", "cpu-01").out.splitlines()


def test_all_about_one(verb: Verb, lab: ServerThread) -> None:
    said = verb("workers", "gpu-01")
    assert said.code == 0
    lines = said.out.splitlines()
    for line in (
        "worker   gpu-01",
        "state    claiming",
        "host     box␛[2J",
        "cpu      14 of 16 cores free",
        "ram      57344 of 65536 MB free",
        "tags     lab",
        "ops      local://count",
        "runs     1 of at most 4",
        "run abc attempt 1: PULLING, busybox",
    ):
        assert line in lines
    gpus = [line for line in lines if line.startswith("gpu ")]
    assert sorted(line.split()[2] for line in gpus) == ["16576", "24576"]
    assert "rtx4090" in gpus[0]


def test_runs_that_wait_take_no_slot(verb: Verb, lab: ServerThread) -> None:
    report = {"resources": {"cpu_cores": 4}, "max_runs": 2, "features": ["waiting"]}
    beat: dict[str, Any] = {"worker_id": "cpu-01", **report}
    lab.client.heartbeat(**beat)
    run = lab.client.create_run("busybox", id="parent", constraints={"cpu": 3})
    [taken] = lab.client.claim("cpu-01", ClaimRequest(max=1, wait_s=5)).runs
    assert taken.id == run.id
    waiting = {"left": 3, "of": 8, "since": "2026-01-01T00:00:00Z"}
    listed = {"id": run.id, "image": "busybox", "attempt": 1, "lease": taken.lease, "waiting": waiting}
    lab.client.heartbeat(**beat, running_ops=[listed])
    lines = verb("workers", "cpu-01").out.splitlines()
    assert "runs     0 of at most 2, 1 waiting for their children" in lines
    assert "run parent attempt 1: waiting for 3 of 8, busybox" in lines
    [cpu] = [line.split() for line in verb("workers").out.splitlines() if "cpu-01" in line]
    assert "2/2" in cpu


def test_one_that_is_not_there(verb: Verb, lab: ServerThread) -> None:
    said = verb("workers", "gpu-02")
    assert (said.code, said.out) == (1, "")
    assert "knows no worker gpu-02; there are cpu-01, gpu-01" in said.err


def test_json_is_of_the_models(verb: Verb, lab: ServerThread) -> None:
    listed = TypeAdapter(list[WorkerView]).validate_json(verb("workers", "--json").out)
    assert [worker.worker_id for worker in listed] == ["cpu-01", "gpu-01"]
    assert WorkerView.model_validate_json(verb("workers", "gpu-01", "--json").out) == listed[1]


def test_none(verb: Verb, served: ServerThread) -> None:
    assert verb("workers") == (0, "", "no worker is known\n")
    assert verb("workers", "--json") == (0, "[]\n", "")
