"""The table of actions, and that bindings, help and palette are just that table."""

from __future__ import annotations

from itertools import combinations

import pytest
from rich.table import Table

from gyoza_tui.ui.keys.commands import title
from gyoza_tui.ui.keys.key_names import keys_of, written
from gyoza_tui.ui.keys.key_table import ACTIONS, BY_ID, Action, Scope, actions
from gyoza_tui.ui.keys.users_keymap import KeymapError, check_keymap, overlap
from gyoza_tui.ui.screens.help import help_text
from tests.ui.keys.app import opened, run


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: str(action.id))
def test_every_action_has_what_a_person_needs_to_know_of_it(action: Action) -> None:
    assert action.label == action.label.strip().lower() != ""
    assert action.tooltip[0].isupper()
    assert action.tooltip.endswith(".")
    assert len(action.tooltip) <= 100


def test_no_id_and_no_key_in_overlapping_scopes_stands_twice() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    for one, other in combinations(ACTIONS, 2):
        if overlap(one.scope, other.scope):
            assert not set(keys_of(one, {})) & set(keys_of(other, {})), (one.id, other.id)


def test_what_loses_something_confirms() -> None:
    assert {action.id for action in ACTIONS if action.confirms} == {
        "cancel", "cancel_all", "release", "retry", "drain", "copy_or_quit", "suspend", "quit", "freeze", "thaw",
    }  # fmt: skip


def test_help_lists_exactly_the_table_and_the_focused_panel_first() -> None:
    rows = _cells(help_text((Scope.RUNS,), {}))
    ids = [row[1] for row in rows if len(row) == 3 and row[2] and row[0] != "Keys"]
    assert sorted(ids) == sorted(action.id for action in ACTIONS)
    assert ids[: sum(action.scope is Scope.RUNS for action in ACTIONS)] == [
        action.id for action in ACTIONS if action.scope is Scope.RUNS
    ]


def test_help_and_palette_say_what_a_key_does_on_a_worker_of_another_process() -> None:
    rows = {row[1]: row[2] for row in _cells(help_text((), {}, attached=True)) if len(row) == 3}
    assert rows["copy_or_quit"] == "Copy the selection; without one, leave at once: the worker goes on."
    assert rows["suspend"].startswith("Back to the shell; fg shows the worker again")
    different = {own.id for own, there in zip(ACTIONS, actions(attached=True), strict=True) if own != there}
    assert different == {"copy_or_quit", "suspend"}
    for action in actions(attached=True):
        assert (action.keys, action.scope) == (BY_ID[action.id].keys, BY_ID[action.id].scope)


def test_help_shows_the_users_keys() -> None:
    rows = {row[1]: row[0] for row in _cells(help_text((), {"pause": "z,f5"})) if len(row) == 3}
    assert rows["pause"] == "  z F5"
    assert rows["quit"] == "  q ^q"
    assert rows["release"] == "  : only"


def test_the_palette_offers_the_table_and_the_themes() -> None:
    async def look() -> None:
        async with opened() as here:
            offered = [command.title for command in here.app.get_system_commands(here.app.screen)]
            themes = [f"Theme {name}" for name in here.app.available_themes]
            bound_ids = {bound.binding.id for bound in here.app.screen.active_bindings.values()}
            expected = [
                title(action)
                for action in ACTIONS
                if action.id in bound_ids or (not action.keys and action.scope in (Scope.APP, Scope.RUN))
            ]
            assert offered == expected + sorted(themes)
            assert {"Pause", "Drain…", "Cancel all…", "Release…", "Leave…"} <= set(offered)

    run(look())


def test_every_binding_carries_id_label_and_tooltip() -> None:
    async def look() -> None:
        table = {action.id: action for action in ACTIONS}
        async with opened() as here:
            found = [bound for bound in here.app.screen.active_bindings.values() if bound.binding.id in table]
            assert {"help", "quit", "pause", "cancel", "maximise"} <= {bound.binding.id for bound in found}
            for bound in found:
                action = table[bound.binding.id or ""]
                assert (bound.binding.description, bound.tooltip) == (action.label, action.tooltip)

    run(look())


@pytest.mark.parametrize(
    ("key", "shown"),
    [("question_mark", "?"), ("ctrl+p", "^p"), ("f1", "F1"), ("escape", "esc"), ("f", "f"), ("D", "D"), ("left", "←")],
)
def test_keys_are_written_as_a_person_would(key: str, shown: str) -> None:
    assert written(key) == shown


@pytest.mark.parametrize(
    "keymap",
    [{}, {"pause": "z"}, {"pause": "x", "cancel": "p"}, {"quit": "ctrl+x,f10"}, {"help": "question_mark"}],
)
def test_a_good_keymap_is_taken(keymap: dict[str, str]) -> None:
    check_keymap(keymap)


@pytest.mark.parametrize(
    ("keymap", "fault"),
    [
        ({"puase": "z"}, "there is no action 'puase' (did you mean pause?)"),
        ({"pause": "x"}, "x would be cancel and pause"),
        ({"pause": "alt+p"}, "pause: 'alt+p' is no key"),
        ({"pause": ""}, "pause: needs a key"),
        ({"pause": "z,"}, "pause: '' is no key"),
        ({"pause": "ctrl+i"}, "pause: to a terminal ctrl+i is tab"),
        ({"release": "z"}, "release: takes no key"),
        ({"log_wrap": "R"}, "R would be try_now and log_wrap"),
    ],
)
def test_a_bad_keymap_is_refused_with_the_reason(keymap: dict[str, str], fault: str) -> None:
    with pytest.raises(KeymapError) as refused:
        check_keymap(keymap)
    assert fault in str(refused.value)


def test_all_faults_of_a_keymap_are_told_at_once() -> None:
    with pytest.raises(KeymapError) as refused:
        check_keymap({"puase": "z", "pause": "x", "drain": "f13"})
    for part in ("'puase'", "x would be", "'f13'"):
        assert part in str(refused.value)


def test_a_keymap_moves_the_keys() -> None:
    async def press() -> None:
        async with opened(keymap={"pause": "z", "cancel": "p"}) as here:
            await here.press("p")
            assert here.fake.asked == []
            await here.press("z")
            assert here.fake.asked == [("pause",)]

    run(press())


def _cells(table: Table) -> list[list[str]]:
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]
