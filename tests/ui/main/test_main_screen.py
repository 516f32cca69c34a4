"""The whole screen at every size, its panels, and that it is quiet when nothing changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from gyoza_tui.ui.app import GyozaApp
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.panels.header import Header
from gyoza_tui.ui.panels.log import LogPane
from gyoza_tui.ui.panels.resources import Resources
from gyoza_tui.ui.panels.runs import RunsPane
from gyoza_tui.ui.screens.run import RunScreen
from gyoza_tui.ui.toasts import say
from gyoza_tui.ui.widgets.key_bar import KeyBar
from gyoza_tui.ui.widgets.log_view import LogView
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.link_state import LinkState
from gyoza_tui.worker.view.control import Check, CheckState
from gyoza_tui.worker.view.snapshot import Intent, Outcome
from tests.ui.fake_control import BOOT, FakeControl, snapshot
from tests.ui.main.scene import ACTIVE, busy, busy_control, ended, going_on, gpu, machine
from tests.ui.main.stage import Stage, stage
from tests.ui.still_clock import StillClock

NASTY = "[/foo][bold]\x1b[2J\x1b]52;c;QUJD\x07\u202e日本語" + "e\u0301" * 40


def hostile() -> FakeControl:
    """Everything that comes from outside is somebody's attempt to break out."""
    name = NASTY[:200]
    runs = (
        going_on(2, name, NASTY * 50, intent=Intent.CANCEL, intent_note=NASTY, server_state=NASTY, gpu=0),
        going_on(1, name, NASTY, version=NASTY),
    )
    past = [ended(0, name, Outcome.FAILED, NASTY, NASTY, last_line=NASTY)]
    odd = replace(gpu(0), info=replace(gpu(0).info, name=NASTY))
    now = snapshot(
        runs=runs,
        worker_id=NASTY,
        server_url=f"http://{NASTY}",
        backends={NASTY: NASTY, "docker": None},
        hardware=machine((odd,)),
        disk=NASTY,
        link=LinkState(trouble=NASTY, name_held=NASTY, beat_at=BOOT),
    )
    return FakeControl(now=now, past=past, logs={2: [NASTY.encode()]})


@contextmanager
def no_writes(app: GyozaApp) -> Iterator[list[Any]]:
    """What is sent to the terminal meanwhile."""
    sent: list[Any] = []
    app._display = lambda screen, renderable: sent.append(renderable) if renderable is not None else None  # type: ignore[method-assign]
    yield sent
    del app._display


def displayed(shown: Stage) -> set[str]:
    found = {
        widget.id for widget in shown.main.query("RunsPane, LogPane, WorkerTab, Resources, Header") if widget.display
    }
    return {str(id_) for id_ in found} | ({"keys"} if shown.main.query_one("KeyBar").display else set())


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((160, 45), {"header", "resources", "runs", "log", "keys"}),
        ((80, 24), {"header", "resources", "runs", "log", "keys"}),
        ((80, 23), {"header", "resources", "runs", "log"}),
        ((79, 24), {"header", "resources", "runs", "keys"}),
        ((160, 15), {"header", "resources", "runs"}),
        ((160, 11), {"header", "runs"}),
        ((30, 8), {"header", "runs"}),
        ((29, 24), {"header"}),
        ((160, 7), {"header"}),
    ],
)
def test_what_is_shown_where_there_is_so_much_room(size: tuple[int, int], expected: set[str]) -> None:
    async def look() -> None:
        async with stage(busy_control(), size) as shown:
            assert displayed(shown) == expected
            assert "[CLAIMING 2/4]" in shown.rows()[0]

    asyncio.run(look())


@pytest.mark.parametrize("make", [busy_control, hostile, lambda: FakeControl(now=snapshot(link=LinkState()))])
def test_at_any_size_every_line_fills_the_terminal_and_nothing_fails(make: Any) -> None:
    sizes = [(20, 3), (29, 24), (30, 8), (47, 12), (79, 24), (80, 16), (99, 50), (121, 8), (160, 11), (200, 50)]
    random.Random(7).shuffle(sizes)

    async def look() -> None:
        async with stage(make(), (80, 24)) as shown:
            for width, height in sizes:
                await shown.pilot.resize_terminal(width, height)
                await shown.tick()
                rows = shown.rows()
                assert len(rows) == height
                assert {cell_len(row) for row in rows} == {width}
                assert "\x1b" not in shown.text()
                assert "\u202e" not in shown.text()

    asyncio.run(look())


def test_a_run_is_followed_through_any_sizes() -> None:
    async def look() -> None:
        async with stage(busy_control(), (160, 45)) as shown:
            await shown.press("down")
            for size in ((20, 3), (60, 20), (10, 1), (1, 1), (200, 50), (80, 24)):
                await shown.pilot.resize_terminal(*size)
                await shown.tick()
            assert shown.main.shown_run is not None
            assert shown.main.shown_run.key == ACTIVE[0].key
            assert shown.app.focused is shown.main.query_one(RunsPane).run_list

    asyncio.run(look())


def test_tab_and_digits_go_to_the_panels() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            seen = []
            for key in ("tab", "tab", "tab", "tab", "shift+tab", "2", "3", "4", "1"):
                await shown.press(key)
                assert shown.app.focused is not None
                inside = shown.app.focused.ancestors_with_self
                seen.append(next(str(n.id) for n in inside if n.id in {"runs", "log", "worker", "resources"}))
            assert seen == [
                *("log", "worker", "resources", "runs", "resources"),
                *("runs", "log", "worker", "resources"),
            ]

    asyncio.run(look())


def test_the_worker_takes_the_logs_place() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            await shown.press("4")
            assert displayed(shown) == {"header", "resources", "runs", "worker", "keys"}
            assert "heartbeat" in shown.text()
            await shown.press("2")
            assert "worker" in displayed(shown)
            await shown.press("3")
            assert displayed(shown) == {"header", "resources", "runs", "log", "keys"}

    asyncio.run(look())


def test_a_click_on_a_rule_goes_to_its_section_and_on_a_tab_to_that_tab() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            for at, word, panel in ((0, "Log", "log"), (5, "Log", "worker"), (0, "Log", "log"), (0, "Runs", "runs")):
                [y] = [y for y, row in enumerate(shown.rows()) if row.startswith(f"── {word}")]
                await shown.pilot.click(offset=(3 + at, y))
                await shown.pilot.pause()
                assert shown.app.focused is not None
                assert panel in {node.id for node in shown.app.focused.ancestors_with_self}

    asyncio.run(look())


def test_the_rule_of_the_panel_with_the_focus_is_in_the_accent_colour() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            accent = shown.app.theme_variables["accent"].lower()
            rules = {str(rule.parent.id): rule for rule in shown.main.query(Rule) if rule.parent is not None}
            for key, lit in (("2", "runs"), ("3", "log"), ("4", "worker"), ("2", "runs")):
                await shown.press(key)
                assert {id_ for id_, rule in rules.items() if rule.styles.color.hex.lower() == accent} == {lit}

    asyncio.run(look())


def test_without_colours_the_rule_of_the_panel_with_the_focus_is_thick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def look() -> None:
        async with stage(busy_control()) as shown:
            for key, name in (("2", "Runs"), ("3", "Log│"), ("2", "Runs")):
                await shown.press(key)
                assert [row[:7] for row in shown.rows() if row.startswith("━━")] == [f"━━ {name}"]

    asyncio.run(look())


@pytest.mark.parametrize(("key", "panel"), [("1", "resources"), ("2", "runs"), ("3", "log"), ("4", "worker")])
def test_m_gives_a_panel_the_terminal_and_esc_takes_it_back(key: str, panel: str) -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            await shown.press(key, "m")
            assert displayed(shown) == {"header", panel}
            await shown.press("escape")
            assert displayed(shown) > {"header", "resources", "runs", "keys"}
            await shown.press("m", "m")
            assert displayed(shown) > {"header", "resources", "runs", "keys"}

    asyncio.run(look())


def test_esc_goes_one_level_at_a_time() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            runs = shown.main.query_one(RunsPane)
            await shown.press("m", "slash", *"op:tr", "enter")
            assert len(runs.run_list.views) < 5
            await shown.press("escape")
            await shown.until(lambda: len(runs.run_list.views) > 5)
            assert displayed(shown) == {"header", "runs"}
            await shown.press("escape")
            assert "log" in displayed(shown)
            await shown.press("escape")
            assert shown.app.screen is shown.main

    asyncio.run(look())


def test_under_80_columns_tab_leads_to_the_log() -> None:
    async def look() -> None:
        async with stage(busy_control(), (60, 20)) as shown:
            await shown.press("tab")
            assert displayed(shown) == {"header", "resources", "log"}
            await shown.press("shift+tab")
            assert displayed(shown) == {"header", "resources", "runs"}

    asyncio.run(look())


def test_enter_opens_the_run_under_the_cursor() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            await shown.press("down", "enter")
            assert isinstance(shown.app.screen, RunScreen)
            assert shown.app.screen.shown_run.key == ACTIVE[0].key

    asyncio.run(look())


def test_slash_finds_in_the_log_when_the_log_has_the_focus() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            await shown.press("3", "slash")
            assert shown.app.focused is not None
            assert "log" in {node.id for node in shown.app.focused.ancestors_with_self}
            await shown.press("escape")
            assert displayed(shown) == {"header", "resources", "runs", "log", "keys"}

    asyncio.run(look())


def test_before_the_server_has_answered_there_is_a_checklist() -> None:
    checks = (
        Check("server", CheckState.FAILED, "connection refused", "set GYOZA_SERVER_URL"),
        Check("docker", CheckState.OK, "27.1"),
    )
    first = snapshot(link=LinkState(trouble="connection refused"), next_try_s=4.0)
    control = FakeControl(now=first, checklist=checks)

    async def look() -> None:
        async with stage(control, (80, 24)) as shown:
            assert "Before the first run" in shown.text()
            assert "set GYOZA_SERVER_URL" in shown.text()
            assert "again in 4 s" in shown.text()
            control.now = control.now._replace(next_try_s=3.0)
            await shown.tick()
            assert "again in 3 s" in shown.text()
            control.now = snapshot()
            await shown.tick()
            assert "Before the first run" not in shown.text()
            assert "waiting for work" in shown.text()

    asyncio.run(look())


@pytest.mark.parametrize("size", [(160, 45), (80, 24), (25, 5)])
def test_when_nothing_changes_nothing_is_written(size: tuple[int, int]) -> None:
    control = busy_control(8)

    async def look() -> None:
        async with stage(control, size) as shown:
            for _ in range(5):
                await shown.tick()
                shown.app.tick_log()
            await shown.pilot.pause(0.1)
            with no_writes(shown.app) as sent:
                for _ in range(20):
                    control.now = control.now._replace(version=control.now.version + 1)
                    await shown.tick()
                    shown.app.tick_log()
                await shown.pilot.pause(0.1)
                assert sent == []
                control.now = control.now._replace(to_deliver=1, state=type(control.now.state).PAUSED)
                await shown.tick()
                assert sent

    asyncio.run(look())


def test_the_log_goes_on_below_a_dialog() -> None:
    control = busy_control()

    async def look() -> None:
        async with stage(control) as shown:
            (view,) = shown.main.query(LogView)
            await shown.until(lambda: not view.reading and view.total)
            before, key = view.total, shown.main.shown_run.key  # type: ignore[union-attr]
            await shown.press("q")
            assert shown.app.screen.is_modal
            control.logs[key] = [*control.logs[key], b"one more"]
            shown.app.tick_log()
            await shown.until(lambda: view.total == before + 1)

    asyncio.run(look())


def test_a_line_that_comes_into_the_log_has_no_panel_beside_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    control = busy_control()
    drawn: list[Widget] = []
    render = Widget.render_lines

    def told(widget: Widget, crop: Region) -> list[Strip]:
        drawn.append(widget)
        return render(widget, crop)

    async def look() -> None:
        async with stage(control) as shown:
            (view,) = shown.main.query(LogView)
            await shown.until(lambda: not view.reading and view.total)
            monkeypatch.setattr(Widget, "render_lines", told)
            key = shown.main.shown_run.key  # type: ignore[union-attr]
            control.logs[key] = [*control.logs[key], b"one more"]
            shown.app.tick_log()
            async with asyncio.timeout(10):
                while LogPane not in map(type, drawn):
                    await shown.pilot.pause(0.01)
            assert not {Header, Resources, RunsPane, KeyBar}.intersection(map(type, drawn))

    asyncio.run(look())


def test_in_ascii_the_glyphs_of_runs_are_ascii() -> None:
    async def look() -> None:
        async with stage(busy_control(), options=UiOptions(clock=StillClock(), ascii=True)) as shown:
            assert "> RUNNING " in shown.text()
            assert "x CANCELLING" in shown.text()

    asyncio.run(look())


@pytest.mark.parametrize("size", [(80, 24), (100, 24), (120, 24), (160, 24), (160, 45)])
def test_eight_gpus_leave_room_for_runs_and_log(size: tuple[int, int]) -> None:
    async def look() -> None:
        async with stage(FakeControl(now=busy(8)), size) as shown:
            assert shown.main.query_one(Resources).size.height <= size[1] // 4 + 1
            assert shown.main.query_one(RunsPane).run_list.size.height >= 3
            assert shown.main.query_one(LogPane).size.height >= 9

    asyncio.run(look())


@pytest.mark.parametrize("size", [(160, 45), (80, 24), (80, 16)])
def test_a_message_covers_one_line_below_the_header(size: tuple[int, int]) -> None:
    async def look() -> None:
        async with stage(busy_control(), size, notifications=True) as shown:
            before = shown.rows()
            say(shown.app.screen, "saved as /tmp/a-run.log")
            await shown.until(lambda: "saved as /tmp/a-run.log" in shown.text())
            changed = [y for y, (line, was) in enumerate(zip(shown.rows(), before, strict=True)) if line != was]
            assert changed == [1]

    asyncio.run(look())
