"""The empty list says why nothing runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gyoza_tui.models.workers import WorkerState
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.why_nothing_runs import Cause, none_is_for_this_worker, why_nothing_runs
from gyoza_tui.worker.link_state import LinkState
from gyoza_tui.worker.view.snapshot import UNCHECKED, Outcome, Snapshot, Waits
from tests.ui.fake_control import BOOT, NOW, FakeControl, snapshot, wanted
from tests.ui.main.scene import PAST, busy_control, ended, going_on
from tests.ui.main.stage import stage
from tests.ui.still_clock import StillClock

WELL = snapshot()
DOWN = WELL._replace(link=WELL.link._replace(trouble="connection refused"), down_since=BOOT - 250, next_try_s=4.0)
IN_USE = "lab-gpu-01 is in use since 3 s"
STATES: dict[Cause, tuple[Snapshot, str]] = {
    Cause.WAITING: (WELL._replace(link=WELL.link._replace(queued=0)), "the server's queue is empty"),
    Cause.PAUSED: (WELL._replace(state=WorkerState.PAUSED, refusal="this worker is paused"), "p resumes"),
    Cause.DRAINING: (WELL._replace(state=WorkerState.DRAINING, to_deliver=2), "2 reports are to be delivered"),
    Cause.AWAY: (WELL._replace(state=WorkerState.AWAY), "this worker exits"),
    Cause.NO_SLOT: (WELL._replace(free_slots=0), "all 4 are taken"),
    Cause.UNREACHABLE: (DOWN, "connection refused since 02:10 (4:10), next try in 4 s  R tries at once"),
    Cause.KEY_REFUSED: (
        DOWN._replace(link=WELL.link._replace(trouble="401: unknown key", unauthorized=True)),
        "401: unknown key",
    ),
    Cause.NAME_HELD: (
        DOWN._replace(link=WELL.link._replace(trouble=IN_USE, name_held=IN_USE)),
        "lab-gpu-01 is in use since 3 s",
    ),
    Cause.ENGINE_DOWN: (
        WELL._replace(backends={"docker": "no /var/run/docker.sock"}),
        "docker: no /var/run/docker.sock",
    ),
    Cause.GPU_OUT: (
        WELL._replace(gpu_trouble={1: "no driver [/x]"}),
        "GPU 1 is not offered: no driver [/x]",
    ),
    Cause.UNPLACED: (
        WELL._replace(unplaced={"ch[i]ld": "needs tag moon", "other": "needs tag sun"}),
        "ch[i]ld: needs tag moon (and 1 more)",
    ),
    Cause.DISK_FULL: (WELL._replace(disk="under 2 GB free on /data"), "under 2 GB free on /data"),
}


def test_every_cause_has_a_picture_here() -> None:
    assert set(STATES) == set(Cause)


@pytest.mark.parametrize("cause", STATES)
def test_the_list_says_which(cause: Cause) -> None:
    now, words = STATES[cause]

    async def look() -> None:
        async with stage(FakeControl(now=now), (120, 30)) as shown:
            assert f" {cause}  " in shown.text()
            assert words in shown.text()

    asyncio.run(look())


@pytest.mark.parametrize("state", [WorkerState.PAUSED, WorkerState.DRAINING])
def test_the_list_and_the_worker_tab_say_who_wants_it_at_the_server(state: Any) -> None:
    now = WELL._replace(state=state, wanted=wanted(state, by="an[b]na"))

    async def look() -> None:
        async with stage(FakeControl(now=now), (120, 30)) as shown:
            assert f" {state}  by an[b]na at the server since 02:04; nothing is claimed" in shown.text()
            await shown.press("4")
            assert f"{state} by an[b]na at the server since 02:04 " in shown.text()

    asyncio.run(look())


@pytest.mark.parametrize("cause", [Cause.WAITING, Cause.UNREACHABLE])
def test_a_list_of_what_is_over_says_it_too(cause: Cause) -> None:
    async def look() -> None:
        async with stage(FakeControl(now=STATES[cause][0], past=list(PAST)), (120, 30)) as shown:
            await shown.until(lambda: "93bb10f2" in shown.text())
            assert f" {cause}  " in shown.text()

    asyncio.run(look())


def test_what_must_be_mended_comes_before_what_somebody_wanted() -> None:
    both = DOWN._replace(state=WorkerState.PAUSED, disk="under 2 GB free")
    causes = [reason.cause for reason in why_nothing_runs(both, StillClock().zone)]
    assert causes == [Cause.UNREACHABLE, Cause.PAUSED, Cause.DISK_FULL]


def test_a_server_that_was_never_asked_is_no_empty_queue() -> None:
    [reason] = why_nothing_runs(WELL._replace(link=LinkState()), StillClock().zone)
    assert "first time" in reason.text


def test_while_something_runs_no_reason_is_given() -> None:
    async def look() -> None:
        async with stage(busy_control(state=WorkerState.PAUSED), (120, 30)) as shown:
            assert "[PAUSED 2/4]" in shown.text()
            assert "nothing is claimed" not in shown.text()

    asyncio.run(look())


def test_a_child_that_no_worker_takes_is_named_while_its_parent_waits() -> None:
    parent = going_on(1, "parent11")._replace(waits=Waits(1, 1, NOW - 9))
    drains = WELL._replace(state=WorkerState.DRAINING, runs=(parent,), unplaced={"child222": "needs tag moon"})

    async def look() -> None:
        async with stage(FakeControl(now=drains), (120, 30)) as shown:
            assert " child not placed  child222: needs tag moon" in shown.text()
            assert "is claimed" not in shown.text()

    asyncio.run(look())


def test_a_drain_claims_what_runs_here_wait_for() -> None:
    parent = going_on(1, "parent11")._replace(waits=Waits(1, 1, NOW - 9))
    drains = WELL._replace(state=WorkerState.DRAINING, runs=(parent,))
    reason, stuck = why_nothing_runs(drains._replace(unplaced={"child222": "needs tag moon"}), StillClock().zone)
    assert (stuck.cause, stuck.wrong) == (Cause.UNPLACED, True)
    assert reason.text == "only what runs here wait for is claimed; then this worker exits"


def test_a_run_that_is_over_but_for_its_report_does_not_hide_the_reason() -> None:
    over = ended(9, "reported", Outcome.COMPLETED, "", acked=False)

    async def look() -> None:
        async with stage(FakeControl(now=DOWN._replace(runs=(over,), to_deliver=1)), (120, 30)) as shown:
            assert "TO DELIVER" in shown.text()
            assert "server unreachable  connection refused since" in shown.text()

    asyncio.run(look())


def test_a_filter_that_matches_nothing_says_so_and_how_to_leave_it() -> None:
    async def look() -> None:
        async with stage(busy_control(), (120, 30)) as shown:
            await shown.press("slash", *"op:nothere", "enter")
            await shown.until(lambda: "nothing matches op:nothere" in shown.text())
            await shown.press("escape")
            await shown.until(lambda: "a1b2c3d4  classify" in shown.text())

    asyncio.run(look())


def test_an_engine_that_nobody_has_looked_at_is_not_down() -> None:
    (reason,) = why_nothing_runs(snapshot(backends={"docker": UNCHECKED}), None)
    assert (reason.cause, reason.text) == (Cause.WAITING, "the engines are being looked at for the first time")


def test_what_is_queued_for_others_comes_with_the_servers_reason() -> None:
    control = FakeControl(now=WELL, queue_reason="train-1 needs a GPU; none is known\x1b[2J")

    async def look() -> None:
        async with stage(control, (160, 30)) as shown:
            await shown.until(lambda: "train-1 needs a GPU" in shown.text())
            assert "14 queued at the server, none of them for this worker now: train-1 needs a GPU" in shown.text()
            for _ in range(20):
                await shown.tick()
            assert control.queue_asked == 1, "the same five seconds"
            control.now = control.now._replace(taken_at=BOOT + 5)
            control.trouble = "connection refused"
            await shown.until(lambda: control.queue_asked == 2)
            await shown.until(lambda: "train-1" not in shown.text())

    asyncio.run(look())


@pytest.mark.parametrize("cause", [Cause.PAUSED, Cause.NO_SLOT, Cause.UNREACHABLE])
def test_the_server_is_not_asked_where_the_reason_is_here(cause: Cause) -> None:
    control = FakeControl(now=STATES[cause][0])

    async def look() -> None:
        async with stage(control, (120, 30)) as shown:
            await shown.tick()
            assert control.queue_asked == 0

    asyncio.run(look())


def test_an_empty_queue_says_what_to_type() -> None:
    options = UiOptions(clock=StillClock(), to_submit=".venv/bin/gyoza-tui submit IMAGE -- COMMAND")

    async def look() -> None:
        async with stage(FakeControl(now=STATES[Cause.WAITING][0]), (160, 30), options) as shown:
            assert "the server's queue is empty  type in another terminal: .venv/bin/gyoza-tui submit" in shown.text()

    asyncio.run(look())


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        ({"backends": {"docker": "no socket", "local": None}}, True),
        ({"backends": {"docker": "no socket", "local": "no shell"}}, False),
        ({"backends": {"docker": "no socket"}}, False),
        ({"gpu_trouble": {1: "no driver"}}, True),
        ({"backends": {"docker": "no socket", "local": None}, "state": WorkerState.PAUSED}, False),
    ],
    ids=["one engine down", "both down", "the only one down", "a GPU out", "paused too"],
)
def test_what_is_in_the_way_of_some_runs_does_not_hide_what_the_others_wait_for(
    trouble: dict[str, Any], waits: bool
) -> None:
    empty = snapshot(link=WELL.link._replace(queued=0), **trouble)
    *others, last = why_nothing_runs(empty, None, to_submit="gyoza-tui submit chat")
    assert (last.act == "type in another terminal: gyoza-tui submit chat") == waits
    assert Cause.WAITING not in {reason.cause for reason in others}
    assert none_is_for_this_worker(snapshot(**trouble)) == waits
