"""Each key of the table does what its row says: a real terminal, server and engine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import docker
import pytest

from gyoza_tui.models.states import RunState
from gyoza_tui.ui.keys.commands import title
from gyoza_tui.ui.keys.key_table import ACTIONS, Action, Scope
from tests.ui.terminal.actions import of_log, of_runs, of_screen
from tests.ui.terminal.actions.proof import PROOFS
from tests.ui.terminal.seat import Seat, seat_at
from tests.waiting import until

PROVEN_BY = (of_log, of_runs, of_screen)
CASES = [
    pytest.param(action, key, marks=[pytest.mark.long] if n or action.scope is Scope.LOG else [])
    for action in ACTIONS
    for n, key in enumerate(action.keys.split(","))
]
"""An action's other keys differ in their binding alone, which the table's tests know; the log has tests of its own."""


@pytest.fixture(scope="module")
def shared(docker_engine: docker.APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    with seat_at(tmp_path_factory.mktemp("seat"), docker_engine) as made, made.taken():
        made.make_history()
        yield made


@pytest.mark.docker
@pytest.mark.parametrize(("action", "key"), CASES, ids=lambda part: part.id if isinstance(part, Action) else part)
def test_each_key_does_what_its_row_says(action: Action, key: str, shared: Seat) -> None:
    with shared.telling():
        shared.home()
        PROOFS[action.id](shared, partial(shared.press, key) if key else partial(shared.choose, title(action)))


def test_every_action_has_such_a_proof() -> None:
    assert PROOFS.keys() == {action.id for action in ACTIONS}


@pytest.mark.docker
def test_the_run_that_is_cancelled_is_the_one_that_the_dialog_names(shared: Seat) -> None:
    """New runs push it down, and the one above it ends, while the dialog is open."""
    with shared.telling():
        shared.home()
        meant, above = shared.run(), shared.run()
        shared.point_at(meant)
        shared.press("x")
        shared.shows("Cancel this run?")
        others = [shared.run(), shared.run()]
        shared.client.update_run(above.id, state=RunState.CANCELLED)
        until(lambda: all(run.id in shared.session.text for run in others), "the new runs behind the dialog")
        shared.shows(meant.id)
        shared.type("y")
        shared.desk.house.until_state(meant, RunState.CANCELLED)
        until(lambda: not shared.containers(meant), "no container of it")
        for run in others:
            assert shared.desk.house.state(run) is RunState.RUNNING
            assert shared.containers(run)
