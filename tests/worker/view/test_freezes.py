"""Freezing and thawing as a screen asks for it: at the server where that can be, else here."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza_tui.backends.base import Exit
from gyoza_tui.models.workers import Feature
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.view.control import ControlError
from tests.scripted_server import SERVER_ID, Reply, ScriptedServer, refusal
from tests.worker.rig import Rig

_BEAT = {"protocol": 1, "lease_s": 30, "grace_s": 300, "heartbeat_s": 5, "server_id": SERVER_ID}


def at_work(rig: Rig, *, features: tuple[Feature, ...] = (Feature.FREEZE,), **changes: Any) -> RunRow:
    rig.server.defaults["beat"] = Reply(_BEAT | {"features": features})
    row = rig.registered().row()
    rig.journal.update(row.key, **({"started_at": 1.0, "handle": {"name": row.name}} | changes))
    return rig.now(row)


def told(scripted: ScriptedServer) -> list[tuple[bool, str]]:
    return [(request.body["frozen"], request.body["by"]) for request in scripted.of("patch")]


def test_a_server_that_answers_is_asked_and_decides(rig: Rig, scripted: ScriptedServer) -> None:
    row = at_work(rig)
    rig.worker.control.freeze(row.key)
    assert told(scripted) == [(True, "a person at w1")]
    assert not rig.now(row).frozen, "its next answer says what it wants"
    rig.journal.update(row.key, server_wants_frozen=True, freeze_by="anna", frozen_since=5.0)
    rig.worker.control.thaw(row.key)
    assert told(scripted)[1:] == [(False, "a person at w1")]


@pytest.mark.parametrize("away", [refusal(503), Reply(drop=True)])
def test_while_the_server_is_away_it_is_done_here_and_told_later(
    rig: Rig, scripted: ScriptedServer, away: Reply
) -> None:
    row = at_work(rig)
    scripted.defaults["patch"] = away
    rig.worker.control.freeze(row.key)
    now = rig.now(row)
    assert (now.freeze_by, now.freeze_untold) == ("a person at w1", True)
    rig.worker.control.thaw(row.key)
    now = rig.now(row)
    assert (now.freeze_by, now.thaw_asked, now.freeze_untold) == ("", True, False)


def test_a_server_that_knows_no_freezing_is_not_asked(rig: Rig, scripted: ScriptedServer) -> None:
    row = at_work(rig, features=())
    rig.worker.control.freeze(row.key)
    assert rig.now(row).freeze_by == "a person at w1"
    assert told(scripted) == []


def test_what_was_paused_from_outside_is_thawed_here(rig: Rig, scripted: ScriptedServer) -> None:
    row = at_work(rig, frozen_since=5.0)
    rig.worker.control.thaw(row.key)
    assert rig.now(row).thaw_asked
    assert told(scripted) == []


def test_a_refusal_is_said_and_nothing_is_done(rig: Rig, scripted: ScriptedServer) -> None:
    row = at_work(rig)
    scripted.defaults["patch"] = refusal(409, "terminal", "it has ended")
    with pytest.raises(ControlError, match=r"r1: the server says: .*it has ended"):
        rig.worker.control.freeze(row.key)
    assert not rig.now(row).frozen


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"started_at": None}, "not at work"),
        ({"exit": Exit(0)}, "not at work"),
        ({"intent": Intent.CANCEL}, "being stopped"),
    ],
)
def test_what_cannot_be_frozen_says_why(rig: Rig, changes: dict[str, Any], why: str) -> None:
    row = at_work(rig, **changes)
    with pytest.raises(ControlError, match=why):
        rig.worker.control.freeze(row.key)


def test_a_backend_that_cannot_freeze_is_named(rig: Rig) -> None:
    row = at_work(rig)
    rig.backend.capabilities = rig.backend.capabilities._replace(freezes=False)
    with pytest.raises(ControlError, match="the backend docker cannot do that"):
        rig.worker.control.freeze(row.key)


def test_what_is_not_here_is_no_run(rig: Rig) -> None:
    with pytest.raises(KeyError):
        rig.worker.control.thaw(99)
