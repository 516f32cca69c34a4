"""What is typed before the screen has caught up is for what the person had asked for."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Input

from gyoza_tui.ui.screens.run import RunScreen
from tests.ui.fake_control import snapshot
from tests.ui.keys.app import Opened, opened, run, running, until


def type_at_once(here: Opened, *keys: str) -> None:
    for key in keys:
        here.app.post_message(events.Key(key, key if len(key) == 1 else None))


def written(here: Opened) -> str:
    focused = here.app.focused
    return focused.value if isinstance(focused, Input) else ""


@pytest.mark.parametrize("first", ["slash", "ampersand", "colon"])
def test_what_follows_a_line_to_type_into_is_text(first: str) -> None:
    async def press() -> None:
        async with opened(snapshot(runs=(running(1, "a1b2c3d4"),))) as here:
            type_at_once(here, first, *"retryxyDy")
            await until(lambda: written(here) == "retryxyDy", "the text")
            assert here.fake.asked == []

    run(press())


def test_a_key_is_for_the_panel_that_the_key_before_went_to() -> None:
    async def press() -> None:
        async with opened(snapshot(runs=(running(1, "a1b2c3d4"),))) as here:
            type_at_once(here, "3", "2", "3", "2", "enter", "tab")
            await until(lambda: isinstance(here.app.screen, RunScreen) and here.app.screen._tab == "run", "the tab")

    run(press())


def test_a_dialog_gets_the_keys_behind_the_one_that_opened_it() -> None:
    async def press() -> None:
        async with opened(snapshot(runs=(running(1, "a1b2c3d4"),))) as here:
            type_at_once(here, *"xnxnxyp")
            await until(lambda: here.fake.asked[-1:] == [("pause",)], "the last key")
            assert [name for name, *_ in here.fake.asked] == ["cancel", "pause"]

    run(press())
