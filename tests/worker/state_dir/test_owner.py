"""Whether the process that an attempt belongs to is gone: only what is certain counts."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from gyoza_tui.backends.local import shim
from gyoza_tui.worker.state_dir.owner import Owner
from tests.waiting import until

HERE = Owner.this_process()._replace(host="desk", machine="m1")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Owner, "this_process", lambda: HERE)


def test_as_text() -> None:
    assert Owner.read(str(HERE)) == HERE
    assert not HERE.gone


@pytest.mark.parametrize("text", ["", "desk", "a/b/c/1/2", "a/b/c/1/2/x", "a/b/c/-1/2/3", "a/b/c/1/2/3/4"])
def test_what_is_none(text: str) -> None:
    assert Owner.read(text) is None


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"pid": 2**22 + 1}, True),
        ({"since": 1}, True),
        ({"namespace": 1, "since": 1}, False),
        ({"boot": "before"}, True),
        ({"boot": "before", "host": "another"}, False),
        ({"boot": "before", "machine": "m2"}, False),
    ],
)
def test_gone(changes: dict[str, Any], *, gone: bool) -> None:
    assert HERE._replace(**changes).gone is gone


def test_a_machine_without_an_id_is_not_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    nameless = HERE._replace(machine="")
    monkeypatch.setattr(Owner, "this_process", lambda: nameless)
    assert not nameless._replace(boot="before").gone


def test_a_process_that_was_killed() -> None:
    """Also before anybody has heard of it."""
    process = subprocess.Popen(["sleep", "60"])
    other = HERE._replace(pid=process.pid, since=shim.alive_since(process.pid) or 0)
    assert not other.gone
    process.kill()
    until(lambda: other.gone, "it is gone")
    process.wait()


def test_a_process_that_proc_hides_may_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of another user where it is mounted with `hidepid`."""
    process = subprocess.Popen(["sleep", "60"])
    other = HERE._replace(pid=process.pid, since=shim.alive_since(process.pid) or 0)
    monkeypatch.setattr(shim, "stat_of", lambda pid: None)
    assert not other.gone
    monkeypatch.setattr(os, "kill", _not_allowed)
    assert not other.gone
    monkeypatch.undo()
    process.kill()
    process.wait()
    monkeypatch.setattr(Owner, "this_process", lambda: HERE)
    monkeypatch.setattr(shim, "stat_of", lambda pid: None)
    assert other.gone


def _not_allowed(_pid: int, _number: int) -> None:
    raise PermissionError
