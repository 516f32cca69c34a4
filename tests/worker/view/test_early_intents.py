"""What a person wants of a run shows at once, whatever the disk does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.worker.journal.row import Intent, RunRow
from tests.scripted_server import ScriptedServer
from tests.waiting import until
from tests.worker.rig import Rig


@pytest.fixture
def rig(scripted: ScriptedServer, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(scripted, tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def disk_answers(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until this is set, no intent reaches the journal."""
    answers, intend = threading.Event(), rig.journal.intend

    def late(*what: Any, **more: Any) -> bool:
        assert answers.wait(10)
        return intend(*what, **more)

    monkeypatch.setattr(rig.journal, "intend", late)
    return answers


def _shown(rig: Rig) -> Intent:
    return rig.worker.control.snapshot().runs[0].intent


def _cancel(rig: Rig, row: RunRow) -> bool:
    return rig.worker.control.cancel(row.run_id, row.attempt)


def test_an_intent_shows_before_it_is_journaled(rig: Rig, disk_answers: threading.Event) -> None:
    row = rig.row()
    assert _cancel(rig, row)
    assert (_shown(rig), rig.now(row).intent) == (Intent.CANCEL, Intent.NONE)
    assert not _cancel(rig, row), "it is no news"
    assert rig.worker.control.release(row.run_id, row.attempt), "it outranks the first"
    assert _shown(rig) is Intent.RELEASE
    disk_answers.set()
    until(lambda: rig.now(row).intent is Intent.RELEASE, "the journal has it")


def test_an_intent_that_cannot_be_journaled_shows_no_longer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row = rig.row()

    def full(*_what: Any, **_more: Any) -> bool:
        raise OSError("no room")

    monkeypatch.setattr(rig.journal, "intend", full)
    assert _cancel(rig, row)
    until(lambda: "r1 goes on, the cancel could not be written down: no room" in rig.said(), "that it is said")
    until(lambda: _shown(rig) is Intent.NONE, "that it goes on")
    assert _cancel(rig, row), "it can be tried again"


def test_an_intent_without_a_thread_is_journaled_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row = rig.row()

    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert _cancel(rig, row)
    assert rig.now(row).intent is Intent.CANCEL
