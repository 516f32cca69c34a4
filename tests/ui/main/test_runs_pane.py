"""Runs that go on, the history below them, and what is filtered out of both."""

from __future__ import annotations

import asyncio

from gyoza_tui.models.filters import RunFilter
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.ui.panels.runs import RunsPane
from gyoza_tui.worker.view.control import HistoryPage
from gyoza_tui.worker.view.snapshot import Intent, Outcome, RunView, Tally
from tests.ui.fake_control import BOOT, NOW, FakeControl, snapshot
from tests.ui.main.scene import ACTIVE, PAST, busy_control, ended, going_on
from tests.ui.main.stage import Stage, stage

OLD_AND_NEW = ((1, "old", 3590), (2, "new", 60))
"""Key, run, and how many seconds ago it ended."""


class AskedControl(FakeControl):
    """Counts what the history is asked for."""

    def history(self, wanted: RunFilter, limit: int) -> HistoryPage:
        page = super().history(wanted, limit)
        self._note("history", bool(wanted), limit)
        return page


def asked(control: FakeControl) -> int:
    return sum(call[0] == "history" for call in control.asked)


def listed(shown: Stage) -> list[str]:
    return [view.run_id[:8] for view in shown.app.screen.query_one(RunsPane).run_list.views]


def test_the_newest_first_what_goes_on_then_what_is_over() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            await shown.until(lambda: len(listed(shown)) > 2)
            assert listed(shown)[:4] == ["a1b2c3d4", "77fe01aa", "93bb10f2", "0c4d9e11"]
            assert "2 active · 35 done · 2 failed" in shown.text()

    asyncio.run(look())


def test_the_title_counts_a_run_once_while_its_earlier_attempt_is_stopped() -> None:
    earlier, later = (going_on(key, "twice111") for key in (1, 2))

    async def look() -> None:
        async with stage(FakeControl(now=snapshot(runs=(earlier, later)))) as shown:
            assert listed(shown) == ["twice111", "twice111"]
            assert "1 active" in shown.text()

    asyncio.run(look())


def test_a_child_is_below_its_parent_among_what_goes_on_and_among_what_is_over() -> None:
    parent = going_on(1, "parent11", may_submit=MaySubmit.ANY, waiting_since=NOW - 9, waits_left=1, waits_of=2)
    runs = (parent, going_on(2, "other222"), going_on(3, "child333", parent="parent11"))
    past = [
        ended(8, "parent88", Outcome.COMPLETED, "outputs: 1"),
        ended(7, "other777", Outcome.COMPLETED, "outputs: 1"),
        ended(6, "child666", Outcome.COMPLETED, "outputs: 1", parent="parent88"),
        ended(5, "child555", Outcome.COMPLETED, "outputs: 1", parent="parent11"),
    ]

    async def look() -> None:
        async with stage(FakeControl(now=snapshot(runs=runs), past=past)) as shown:
            await shown.until(lambda: len(listed(shown)) == 7)
            assert listed(shown) == [
                *("other222", "parent11", "child333"),
                *("parent88", "child666", "other777", "child555"),
            ]
            lines = {row.split()[2]: row for row in shown.rows() if "@1.0.0" in row}
            assert "└ classify@1.0.0" in lines["child333"]
            assert "└ train@1.0.0" in lines["child666"]
            assert "└" not in lines["child555"]
            assert "child of parent11" in lines["child555"]

    asyncio.run(look())


def test_the_title_counts_what_waits_by_itself() -> None:
    parent = going_on(1, "parent11", waiting_since=NOW - 9, waits_left=1, waits_of=2)

    async def look() -> None:
        async with stage(FakeControl(now=snapshot(runs=(parent, going_on(2, "child222"))))) as shown:
            assert "1 active · 1 waiting · 0 done" in shown.text()

    asyncio.run(look())


def test_a_key_leads_from_a_child_to_its_parent_and_back() -> None:
    parent = going_on(1, "parent11", may_submit=MaySubmit.ANY)
    children = (going_on(2, "child222", parent="parent11"), going_on(3, "child333", parent="parent11"))
    lone = going_on(4, "lone4444", parent="elsewhere")

    async def look() -> None:
        async with stage(FakeControl(now=snapshot(runs=(parent, *children, lone))), notifications=True) as shown:

            def cursor() -> str:
                view = shown.app.screen.query_one(RunsPane).selected
                return view.run_id if view else ""

            await shown.press("end")
            assert cursor() == "child222"
            for there in ("parent11", "child222", "parent11"):
                await shown.press("o")
                assert cursor() == there
            await shown.press("home", "o")
            assert cursor() == "lone4444"
            assert "elsewhere, the parent of lone4444, is not in this list" in shown.text()

    asyncio.run(look())


def test_the_title_says_what_goes_on_above_what_is_in_sight_and_which_key_leads_there() -> None:
    async def look() -> None:
        async with stage(busy_control(), size=(80, 24)) as shown:
            await shown.until(lambda: len(listed(shown)) > 10)
            assert "Runs  2 active · 35 done" in shown.text()
            await shown.press("end")
            await shown.until(lambda: "Runs  ▲ 2 active (home) · 35 done" in shown.text())
            await shown.press("home")
            await shown.until(lambda: "Runs  2 active · 35 done" in shown.text())

    asyncio.run(look())


def test_the_history_is_asked_for_only_when_it_has_changed() -> None:
    control = AskedControl(now=snapshot(history_version=1), past=list(PAST))

    async def look() -> None:
        async with stage(control) as shown:
            await shown.until(lambda: len(listed(shown)) == len(PAST))
            before = asked(control)
            for _ in range(5):
                await shown.tick()
            assert asked(control) == before == 1
            control.now = control.now._replace(history_version=2)
            await shown.until(lambda: asked(control) == 2)

    asyncio.run(look())


def test_what_ended_an_hour_ago_leaves_a_list_since_an_hour_ago() -> None:
    old, new = (ended(key, run, Outcome.COMPLETED, "", outcome_at=NOW - ago) for key, run, ago in OLD_AND_NEW)
    control = AskedControl(now=snapshot(), past=[new, old])

    def later(seconds: float) -> None:
        control.now = control.now._replace(utc=NOW + seconds, taken_at=BOOT + seconds)

    async def look() -> None:
        async with stage(control) as shown:
            await shown.press("slash", *"since:1h", "enter")
            await shown.until(lambda: listed(shown) == ["new", "old"])
            before = asked(control)
            later(2)
            for _ in range(3):
                await shown.tick()
            assert asked(control) == before
            later(120)
            await shown.until(lambda: listed(shown) == ["new"])
            assert asked(control) == before + 1

    asyncio.run(look())


def test_a_history_that_cannot_be_read_is_said_and_asked_for_again() -> None:
    control = AskedControl(now=snapshot(history_version=1), past=list(PAST), trouble="disk I/O error")

    async def look() -> None:
        async with stage(control) as shown:
            await shown.until(lambda: "history: disk I/O error" in shown.text())
            control.trouble = None
            await shown.until(lambda: "93bb10f2" in shown.text())
            assert "disk I/O error" not in shown.text()

    asyncio.run(look())


def test_a_run_that_is_closed_does_not_vanish_until_the_history_has_it() -> None:
    run = going_on(50, "closing1")
    control = FakeControl(now=snapshot(runs=(run,), history_version=1))

    async def look() -> None:
        async with stage(control) as shown:
            await shown.until(lambda: listed(shown) == ["closing1"])
            control.now = control.now._replace(runs=())
            control.past = [ended(50, "closing1", Outcome.COMPLETED, "outputs: 3")]
            await shown.tick()
            assert listed(shown) == ["closing1"]
            control.now = control.now._replace(history_version=2)
            await shown.until(lambda: "outputs: 3" in shown.text())
            assert listed(shown) == ["closing1"]

    asyncio.run(look())


def test_a_run_that_is_being_cleaned_up_stands_below_what_goes_on() -> None:
    over = ended(60, "cleaning", Outcome.COMPLETED, "", cleaned=False)

    async def look() -> None:
        async with stage(FakeControl(now=snapshot(runs=(going_on(59, "older"), over)))) as shown:
            await shown.until(lambda: listed(shown) == ["older", "cleaning"])

    asyncio.run(look())


def test_what_is_cancelled_says_so_with_the_next_picture() -> None:
    control = FakeControl(now=snapshot(runs=(going_on(1, "aaaa"),)))

    async def look() -> None:
        async with stage(control) as shown:
            assert "► RUNNING     aaaa" in shown.text()
            run = control.now.runs[0]
            control.now = control.now._replace(runs=(run._replace(intent=Intent.CANCEL),))
            await shown.tick()
            assert "◌ CANCELLING  aaaa" in shown.text()

    asyncio.run(look())


def test_a_filter_works_while_it_is_typed_and_esc_takes_it_back() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            await shown.until(lambda: len(listed(shown)) > 2)
            everything = listed(shown)
            await shown.press("slash", *"op:train")
            await shown.until(lambda: listed(shown) == ["77fe01aa", "93bb10f2"])
            await shown.press("enter")
            assert "/op:train  2 match" in shown.text()
            assert shown.app.focused is shown.app.screen.query_one(RunsPane).run_list
            await shown.press("escape")
            await shown.until(lambda: listed(shown) == everything)
            assert "op:train" not in shown.text()

    asyncio.run(look())


def test_the_cursor_stays_on_the_ended_run_that_was_filtered_for() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            await shown.until(lambda: len(listed(shown)) > 2)
            await shown.press("slash", *"run:93bb")
            await shown.until(lambda: listed(shown) == ["93bb10f2"])
            await shown.press("enter", "escape")
            await shown.until(lambda: len(listed(shown)) > 2)
            selected = shown.app.screen.query_one(RunsPane).selected
            assert selected is not None
            assert selected.run_id.startswith("93bb10f2")

    asyncio.run(look())


def test_a_filter_that_is_wrong_says_why_at_once_and_the_list_stays() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            await shown.until(lambda: len(listed(shown)) > 2)
            await shown.press("slash", *"state:fail")
            await shown.until(lambda: "failed" in shown.text().split("state:fail")[1])
            await shown.press("backspace", *"iled")
            before = listed(shown)
            await shown.press("space", *"sinse:x")
            assert "sinse" in shown.text()
            assert listed(shown)[:1] == before[:1]

    asyncio.run(look())


def test_older_ones_than_are_listed_are_counted() -> None:
    class Long(FakeControl):
        def history(self, wanted: RunFilter, limit: int) -> HistoryPage:
            return HistoryPage(PAST, 4321)

    async def look() -> None:
        async with stage(Long(now=snapshot(tally=Tally(completed=4321)))) as shown:
            await shown.until(lambda: f"{4321 - len(PAST):,} older ones not listed" in shown.text())
            assert "4,321 done" in shown.text()

    asyncio.run(look())


def failures() -> list[RunView]:
    return [
        ended(9, "seenfail", Outcome.FAILED, "exit 1", seen=True),
        ended(8, "goodone1", Outcome.COMPLETED, ""),
        ended(7, "unseen07", Outcome.FAILED, "exit 1"),
        ended(6, "unseen06", Outcome.FAILED, "exit 1"),
    ]


def test_a_failure_is_seen_when_the_cursor_is_moved_onto_it_by_hand() -> None:
    control = FakeControl(now=snapshot(), past=failures()[2:])

    async def look() -> None:
        async with stage(control) as shown:
            await shown.until(lambda: listed(shown) == ["unseen07", "unseen06"])
            assert ("seen", 7) not in control.asked
            await shown.press("down")
            await shown.until(lambda: ("seen", 6) in control.asked)
            assert ("seen", 7) not in control.asked
            await shown.press("up")
            await shown.until(lambda: ("seen", 7) in control.asked)

    asyncio.run(look())


def test_u_goes_from_one_unseen_failure_to_the_next() -> None:
    control = FakeControl(now=snapshot(), past=failures())

    async def look() -> None:
        async with stage(control) as shown:
            await shown.until(lambda: len(listed(shown)) == 4)
            await shown.press("3", "u")
            await shown.until(lambda: ("seen", 7) in control.asked)
            assert shown.main.shown_run is not None
            assert shown.main.shown_run.key == 7
            await shown.press("u")
            await shown.until(lambda: ("seen", 6) in control.asked)
            control.past = failures()[:2]
            control.now = control.now._replace(history_version=5)
            await shown.until(lambda: len(listed(shown)) == 2)
            await shown.press("u")
            assert [note.message for note in shown.app._notifications] == [
                "no failed run in the list that nobody has looked at"
            ]

    asyncio.run(look())


def test_the_log_is_of_the_run_under_the_cursor() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            await shown.until(lambda: "Log│Worker  a1b2c3d4" in shown.text())
            await shown.press("down")
            await shown.until(lambda: "Log│Worker  77fe01aa" in shown.text())

    asyncio.run(look())


def test_the_cursor_starts_on_the_newest_run_that_goes_on() -> None:
    async def look() -> None:
        async with stage(busy_control()) as shown:
            assert shown.main.shown_run is not None
            assert shown.main.shown_run.key == ACTIVE[1].key

    asyncio.run(look())


def test_another_start_of_the_worker_has_a_history_of_its_own() -> None:
    """Also when it has changed as often as the former one's."""
    control = FakeControl(past=[ended(1, "former00", Outcome.COMPLETED, "outputs: 1")])

    async def look() -> None:
        async with stage(control) as shown:
            await shown.until(lambda: listed(shown) == ["former00"])
            control.past = [ended(1, "newone00", Outcome.COMPLETED, "outputs: 1")]
            control.connected = control.connected._replace(life=("instance", 2))
            shown.app.tick()
            await shown.until(lambda: listed(shown) == ["newone00"])

    asyncio.run(look())
