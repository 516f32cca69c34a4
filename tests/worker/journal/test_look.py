"""A journal as another process sees it while its worker writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.look import StepTime, cleaned, secrets_of, steps_of
from gyoza_tui.worker.journal.row import Outcome
from tests.clock import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path, SystemClock())
    yield journal
    journal.close()


def test_a_runs_secrets(journal: Journal, path: Path) -> None:
    journal.take("s", OpRun(id="r1", image="op", secret_env={"TOKEN": "hunter2"}), "docker")
    assert secrets_of(path, "r1") == ("hunter2",)
    assert secrets_of(path, "r2") is None
    assert secrets_of(path.with_name("none.db"), "r1") is None
    journal.take("s", OpRun(id="r3", image="op"), "docker")
    assert secrets_of(path, "r3") == ()


def test_a_runs_secrets_in_a_journal_that_was_set_aside(path: Path) -> None:
    former = Journal(path, SystemClock())
    former.take("s", OpRun(id="r1", image="op", secret_env={"TOKEN": "hunter2"}), "docker")
    former.close()
    Journal(path, SystemClock(), new=True).close()
    assert secrets_of(path, "r1") == ("hunter2",)
    assert secrets_of(path, "r2") is None


def test_whether_an_attempt_is_over(journal: Journal, path: Path) -> None:
    row = journal.take("s", OpRun(id="r1", image="op", attempt=1, lease="l"), "docker")
    journal.finish(row.key, Outcome.CANCELLED, "", [])
    assert cleaned(path, row.name) is False
    journal.update(row.key, cleaned=True)
    assert cleaned(path, row.name) is True
    assert cleaned(path, "gyoza-r2-1-l") is None
    assert cleaned(path.with_name("none.db"), row.name) is None


def test_the_steps_of_each_attempt(path: Path) -> None:
    clock = FakeClock()
    journal = Journal(path, clock)
    first = journal.take("s", OpRun(id="r1", image="op", attempt=1, lease="l"), "docker")
    begun = clock.utc().timestamp()
    for step in ("prepare_inputs", "pull_latest_image", "cleanup_op_dir"):
        journal.begin_step(first.key, step)
        clock.turn(2)
    journal.finish(first.key, Outcome.RELEASED, "", [])
    journal.update(first.key, cleaned=True)
    second = journal.take("s", OpRun(id="r1", image="op", attempt=2, lease="m"), "docker")
    journal.begin_step(second.key, "prepare_inputs")
    assert steps_of(path, "r1") == {
        1: [
            StepTime("prepare_inputs", begun, begun + 2),
            StepTime("pull_latest_image", begun + 2, begun + 4, not_done="released"),
            StepTime("cleanup_op_dir", begun + 4, begun + 6),
        ],
        2: [StepTime("prepare_inputs", begun + 6, None)],
    }
    assert steps_of(path, "r2") == steps_of(path.with_name("none.db"), "r1") == {}
    journal.close()
