"""The first line, in each state and at each width."""

from __future__ import annotations

import asyncio

import pytest

from gyoza_tui.models.workers import WorkerState
from gyoza_tui.ui.badge import badge
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.panels.header import glance, header_line
from gyoza_tui.worker.link_state import LinkState
from gyoza_tui.worker.view.snapshot import UNCHECKED, Failures, Snapshot
from tests.ui.fake_control import BOOT, NOW, FakeControl, snapshot, wanted
from tests.ui.main.scene import busy
from tests.ui.main.stage import stage
from tests.ui.still_clock import StillClock

OPTIONS = UiOptions(clock=StillClock())
WELL = snapshot(failures=Failures(2, NOW - 2 * 3600), free_slots=2)
DOWN = WELL._replace(link=WELL.link._replace(trouble="connection refused"), down_since=BOOT - 250, next_try_s=4.0)
REFUSED = DOWN._replace(link=WELL.link._replace(trouble="401: unknown key", unauthorized=True))
HELD = DOWN._replace(link=WELL.link._replace(trouble="lab-gpu-01 is in use", name_held="lab-gpu-01 is in use"))
STATES: dict[str, tuple[Snapshot, str, str, str]] = {
    "claiming": (WELL, "[CLAIMING 2/4]", "$success", "server ✓ 12 ms localhost:5555"),
    "paused": (WELL._replace(state=WorkerState.PAUSED), "[PAUSED 2/4]", "$warning", "server ✓ 12 ms"),
    "draining": (WELL._replace(state=WorkerState.DRAINING), "[DRAINING 2/4]", "$warning", "server ✓ 12 ms"),
    "leaving": (WELL._replace(state=WorkerState.AWAY), "[LEAVING 2/4]", "$warning", "server ✓ 12 ms"),
    "offline": (DOWN, "[OFFLINE 2/4]", "$error", "server ✗ unreachable since 02:10 (4:10), next try in 4 s"),
    "paused and offline": (DOWN._replace(state=WorkerState.PAUSED), "[OFFLINE 2/4]", "$error", "server ✗ unreachable"),
    "401": (REFUSED, "[OFFLINE 2/4]", "$error", "server ✗ key refused since 02:10 (4:10), next try in 4 s"),
    "name held": (HELD, "[OFFLINE 2/4]", "$error", "server ✗ name held by another worker"),
    "down since its name was held": (
        HELD._replace(link=HELD.link._replace(trouble="connection refused")),
        "[OFFLINE 2/4]",
        "$error",
        "server ✗ unreachable since 02:10 (4:10)",
    ),
    "docker down": (
        WELL._replace(backends={"docker": "no /var/run/docker.sock"}),
        "[BLOCKED 2/4]",
        "$warning",
        "docker ✗ no /var/run/docker.sock",
    ),
    "one engine down": (
        WELL._replace(backends={"docker": "no socket", "local": None}),
        "[CLAIMING 2/4]",
        "$success",
        "docker ✗ no socket  local ✓",
    ),
    "no engine looked at yet": (
        WELL._replace(backends={"docker": UNCHECKED, "local": None}),
        "[CLAIMING 2/4]",
        "$success",
        "docker …  local ✓",
    ),
    "disk full": (
        WELL._replace(disk="under 2 GB free", disk_free_mb=300, refusal="under 2 GB free"),
        "[BLOCKED 2/4]",
        "$warning",
        "disk ✗ full, 300M free",
    ),
    "connecting": (WELL._replace(link=LinkState()), "[CONNECTING 2/4]", "$warning", "server … localhost:5555"),
}


@pytest.mark.parametrize("name", STATES)
def test_the_first_line_says_how_the_worker_is(name: str) -> None:
    now, word, colour, words = STATES[name]
    line = header_line(now, OPTIONS, 158)
    assert word in line.plain
    assert words in line.plain
    assert "✗ 2 failed" in line.plain
    assert badge(now).spans[0].style == f"bold reverse {colour}"


@pytest.mark.parametrize("name", STATES)
def test_it_fills_any_width_and_the_badge_is_the_last_to_go(name: str) -> None:
    now, word, *_ = STATES[name]
    for width in range(1, 201):
        assert header_line(now, OPTIONS, width).cell_length == width
        assert glance(now, width).cell_length == width
        if width > len(word):
            assert word in header_line(now, OPTIONS, width).plain
            assert word in glance(now, width).plain


@pytest.mark.parametrize(("width", "words"), [(120, "[PAUSED by server 2/4]"), (60, "[PAUSED 2/4]"), (10, "[PAUSED 2")])
def test_a_wish_of_the_server_is_named_where_there_is_room(width: int, words: str) -> None:
    now = WELL._replace(state=WorkerState.PAUSED, wanted=wanted(WorkerState.PAUSED))
    assert words in header_line(now, OPTIONS, width).plain
    offline = DOWN._replace(state=WorkerState.PAUSED, wanted=wanted(WorkerState.PAUSED))
    assert "by server" not in header_line(offline, OPTIONS, 200).plain


@pytest.mark.parametrize("width", [60, 78, 98, 118, 158])
def test_unseen_failures_stay_in_sight(width: int) -> None:
    assert "✗ 2" in header_line(WELL, OPTIONS, width).plain
    assert "✗ 2" in header_line(DOWN, OPTIONS, width).plain
    assert "✗" not in header_line(WELL._replace(failures=Failures()), OPTIONS, width).plain


def test_a_number_that_is_not_fresh_shows_its_age() -> None:
    stale = DOWN._replace(link=DOWN.link._replace(beat_at=BOOT - 252))
    assert "queue 14 4:12 ago" in header_line(stale, OPTIONS, 198).plain


def test_a_password_in_the_address_is_not_shown() -> None:
    line = header_line(WELL._replace(server_url="http://me:secret@gyoza.example:80/x"), OPTIONS, 158)
    assert "gyoza.example:80" in line.plain
    assert "secret" not in line.plain


def test_the_clock_counts_minutes_and_nothing_else_moves() -> None:
    clock = StillClock()

    async def look() -> None:
        async with stage(FakeControl(now=busy()), options=UiOptions(clock=clock)) as shown:
            first = shown.rows()[0]
            assert first.endswith("02:14 ")
            clock.pass_s(49)
            await shown.tick()
            assert shown.rows()[0] == first
            clock.pass_s(2)
            await shown.tick()
            assert shown.rows()[0] == first.replace("02:14", "02:15")

    asyncio.run(look())


def test_one_line_tells_badge_runs_and_progress() -> None:
    assert glance(busy(), 40).plain.split() == ["[CLAIMING", "2/4]", "✗", "2", "2", "runs", "8%", "42%"]
