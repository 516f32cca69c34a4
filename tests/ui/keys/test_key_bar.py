"""The key bar: the table's entries that work here, whole ones only."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.screen import Screen

from gyoza_tui.ui.keys.key_table import ACTIONS
from gyoza_tui.ui.screens.run import RunScreen
from gyoza_tui.ui.widgets.key_bar import Entry, KeyBar, fitting
from gyoza_tui.worker.view.snapshot import Outcome
from tests.ui.fake_control import NOW, snapshot
from tests.ui.keys.app import Opened, opened, run, running, until

RUN = running(1, "a1b2c3d4")
_NODE = Screen[None]()
ENTRIES = tuple(
    Entry(key, label, "", _NODE) for key, label in (("?", "help"), (":", "commands"), ("x", "cancel"), ("q", "leave"))
)


async def _on_a_run(here: Opened) -> KeyBar:
    await here.app.push_screen(RunScreen(here.fake, here.app.options, RUN))
    await here.pilot.pause()
    return here.app.screen.query_one(KeyBar)


def test_it_shows_the_tables_entries_in_the_tables_order() -> None:
    async def look() -> None:
        async with opened(snapshot(runs=(RUN,))) as here:
            bar = await _on_a_run(here)
            shown = [entry.label for entry in bar.entries]
            here_too = {bound.binding.id for bound in here.app.screen.active_bindings.values()}
            assert shown == [
                action.label for action in ACTIONS if action.in_bar and action.id in here_too and action.id != "retry"
            ]
            assert bar.render().plain.startswith(" ? help  : commands  / find")

    run(look())


@pytest.mark.parametrize(
    ("width", "shown"),
    [(37, "? : x q"), (36, "? : q"), (27, "? : q"), (26, "? q"), (14, "q"), (7, "q"), (6, ""), (0, "")],
)
def test_whole_entries_only_and_the_last_stays(width: int, shown: str) -> None:
    assert " ".join(entry.key for entry in fitting(ENTRIES, width)) == shown


def test_nothing_is_cut() -> None:
    async def look() -> None:
        async with opened(snapshot(runs=(RUN,))) as here:
            bar = await _on_a_run(here)
            words = {f"{entry.key} {entry.label}" for entry in bar.entries}
            for width in range(4, 120, 9):
                await here.pilot.resize_terminal(width, 30)
                await until(lambda: bar.size.width == width, "the new size")  # noqa: B023
                line = bar.render().plain
                assert len(line) <= width
                assert set(line.strip().split("  ")) <= {*words, ""}

    run(look())


def test_the_users_keys_are_shown() -> None:
    async def look() -> None:
        async with opened(snapshot(runs=(RUN,)), keymap={"cancel": "z"}) as here:
            bar = await _on_a_run(here)
            assert ("z", "cancel") in [(entry.key, entry.label) for entry in bar.entries]

    run(look())


def test_while_typing_letters_are_no_keys() -> None:
    async def look() -> None:
        async with opened(snapshot(runs=(RUN,))) as here:
            bar = await _on_a_run(here)
            await here.press("slash")
            await here.pilot.pause()
            assert "x" not in [entry.key for entry in bar.entries]
            assert ("^q", "leave") in [(entry.key, entry.label) for entry in bar.entries]

    run(look())


def test_a_click_on_an_entry_is_its_key() -> None:
    class Clicked(App[None]):
        def __init__(self) -> None:
            super().__init__()
            self.done: list[str] = []

        def compose(self) -> ComposeResult:
            yield KeyBar()

        def on_mount(self) -> None:
            for key, id_ in (("x", "cancel"), ("q", "quit")):
                self._bindings._add_binding(Binding(key, f"note('{id_}')", id_, id=id_))
            self.screen.refresh_bindings()

        def action_note(self, id_: str) -> None:
            self.done.append(id_)

    async def click() -> None:
        app = Clicked()
        async with app.run_test(size=(40, 5)) as pilot:
            await pilot.pause()
            for x in (0, 1, 8, 9, 10, 11, 16, 17, 30):
                await pilot.click(KeyBar, offset=(x, 0))
        assert app.done == ["cancel", "cancel", "quit", "quit"]

    asyncio.run(click())


def test_it_names_what_can_be_done_with_the_run() -> None:
    async def look() -> None:
        failed = RUN._replace(outcome=Outcome.FAILED, outcome_at=NOW, acked=True, cleaned=True)
        for view, offered in ((RUN, "cancel"), (failed, "retry")):
            async with opened(snapshot(runs=(view,))) as here:
                await here.app.push_screen(RunScreen(here.fake, here.app.options, view))
                bar = here.app.screen.query_one(KeyBar)
                await until(lambda: bar.entries, "the entries")  # noqa: B023
                assert [entry.label for entry in bar.entries if entry.label in ("cancel", "retry")] == [offered]

    run(look())
