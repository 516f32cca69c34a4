"""The cursor stays on its run; only lines that differ are painted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from gyoza_tui.ui.families import in_families
from gyoza_tui.ui.panels.run_list import RunList
from gyoza_tui.ui.theme import dress
from gyoza_tui.worker.view.snapshot import Outcome, RunView
from tests.ui.fake_control import NOW
from tests.ui.main.scene import ended, going_on
from tests.ui.still_clock import StillClock

THOUSAND = tuple(ended(key, f"{key:08x}", Outcome.COMPLETED, "outputs: 1") for key in range(1000, 0, -1))


class CountingList(RunList):
    """Remembers which of its lines were painted."""

    def __init__(self) -> None:
        super().__init__(StillClock().zone)
        self.painted: list[int] = []

    def render_line(self, y: int) -> Strip:
        self.painted.append(y)
        return super().render_line(y)


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        dress(self, None)
        self.heard: list[tuple[str, int | None, bool]] = []

    def compose(self) -> ComposeResult:
        yield CountingList()

    def on_run_list_highlighted(self, event: RunList.Highlighted) -> None:
        self.heard.append(("highlighted", event.key, event.by_hand))

    def on_run_list_opened(self, event: RunList.Opened) -> None:
        self.heard.append(("opened", event.key, True))


class Bench:
    def __init__(self, host: Host, pilot: Pilot[None]) -> None:
        self.host = host
        self.pilot = pilot
        self.list = host.query_one(CountingList)

    async def show(self, *views: RunView, now: float = NOW) -> None:
        self.list.show_runs(in_families(views), now)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    @property
    def cursor(self) -> int | None:
        return self.list.selected.key if self.list.selected else None

    @property
    def cursor_line(self) -> int:
        """Where on the screen it is drawn."""
        [line] = [y for y in range(self.list.size.height) if self.text(y).startswith("▌")]
        return line

    def text(self, y: int) -> str:
        return RunList.render_line(self.list, y).text

    @contextmanager
    def painting(self) -> Iterator[list[int]]:
        self.list.painted.clear()
        yield self.list.painted


@asynccontextmanager
async def bench(size: tuple[int, int] = (100, 20)) -> AsyncIterator[Bench]:
    host = Host()
    async with host.run_test(size=size) as pilot:
        host.query_one(RunList).focus()
        await pilot.pause()
        yield Bench(host, pilot)


def test_moving_the_cursor_repaints_two_lines_of_a_thousand() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(*THOUSAND)
            with here.painting() as painted:
                await here.press("down")
            assert sorted(painted) == [0, 1]

    asyncio.run(look())


def test_the_same_again_repaints_nothing() -> None:
    async def look() -> None:
        async with bench() as here:
            views = (going_on(1001, "aaaa"), *THOUSAND)
            await here.show(*views)
            with here.painting() as painted:
                await here.show(*views)
                await here.show(*(view._replace() for view in views[:3]), *views[3:])
            assert painted == []

    asyncio.run(look())


def test_a_finished_run_is_joined_to_its_parent_as_soon_as_that_is_above_it() -> None:
    child = ended(2, "child222", Outcome.COMPLETED, "outputs: 1", parent="parent11")
    parent = ended(1, "parent11", Outcome.COMPLETED, "outputs: 1")

    async def look() -> None:
        async with bench() as here:
            await here.show(child)
            assert "└" not in here.text(0)
            await here.show(child, parent)
            assert "└ train" in here.text(1)

    asyncio.run(look())


def test_a_second_later_only_what_goes_on_is_repainted() -> None:
    async def look() -> None:
        async with bench() as here:
            views = (going_on(1001, "aaaa"), *THOUSAND)
            await here.show(*views)
            with here.painting() as painted:
                await here.show(*views, now=NOW + 1)
            assert painted == [0]

    asyncio.run(look())


def test_the_cursor_stays_on_its_run_when_runs_come_above_it() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(going_on(2, "two"), going_on(1, "one"))
            await here.press("down")
            await here.show(going_on(4, "four"), going_on(3, "three"), going_on(2, "two"), going_on(1, "one"))
            assert here.cursor == 1
            assert here.cursor_line == 3

    asyncio.run(look())


def test_the_cursor_stays_on_its_run_when_it_ends() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(going_on(2, "two"), going_on(1, "one"))
            assert here.cursor == 2
            await here.show(going_on(3, "three"), going_on(1, "one"), ended(2, "two", Outcome.COMPLETED, ""))
            assert here.cursor == 2
            assert here.cursor_line == 2

    asyncio.run(look())


def test_a_cursor_that_nobody_put_on_what_is_over_goes_to_the_first_run_that_comes() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(*THOUSAND)
            await here.show(going_on(1001, "new"), *THOUSAND)
            assert here.cursor == 1001
            assert here.host.heard[-1] == ("highlighted", 1001, False)

    asyncio.run(look())


def test_a_cursor_that_somebody_put_there_does_not() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(*THOUSAND)
            await here.press("home")
            await here.show(going_on(1001, "new"), *THOUSAND)
            assert here.cursor == 1000

    asyncio.run(look())


def test_a_cursor_whose_run_is_gone_takes_the_one_in_its_place() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(*THOUSAND[:5])
            await here.press("down", "down")
            await here.show(*THOUSAND[:2], *THOUSAND[3:5])
            assert here.cursor == THOUSAND[3].key
            await here.show(*THOUSAND[:1])
            assert here.cursor == THOUSAND[0].key
            await here.show()
            assert here.cursor is None
            assert here.host.heard[-1] == ("highlighted", None, False)

    asyncio.run(look())


def test_a_cursor_in_sight_stays_in_sight() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(*THOUSAND[10:])
            await here.press("end")
            assert here.cursor == 1
            assert here.cursor_line == 19
            await here.show(*THOUSAND)
            assert here.cursor == 1
            assert here.cursor_line == 19

    asyncio.run(look())


def test_the_wheel_moves_the_view_and_not_the_cursor_and_a_new_picture_does_not_pull_it_back() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(*THOUSAND)
            here.list.scroll_to(y=500, animate=False)
            await here.pilot.pause()
            await here.show(going_on(1001, "new"), *THOUSAND)
            assert here.list.scroll_offset.y == 500
            assert THOUSAND[499].run_id in here.text(0)

    asyncio.run(look())


def test_pages_and_ends() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(*THOUSAND)
            await here.press("pagedown")
            assert here.cursor == 1000 - 19
            await here.press("end")
            assert here.cursor == 1
            await here.press("pageup", "k", "j", "home", "up")
            assert here.cursor == 1000

    asyncio.run(look())


def test_a_click_moves_the_cursor_and_a_double_click_opens() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.show(*THOUSAND)
            await here.pilot.click(RunList, offset=(10, 4))
            await here.pilot.pause()
            assert here.cursor == 996
            assert here.host.heard[-1] == ("highlighted", 996, True)
            await here.pilot.click(RunList, offset=(10, 6), times=2)
            await here.pilot.pause()
            assert ("opened", 994, True) in here.host.heard

    asyncio.run(look())


def test_enter_opens_what_the_cursor_is_on() -> None:
    async def look() -> None:
        async with bench() as here:
            await here.press("enter")
            assert here.host.heard == []
            await here.show(*THOUSAND)
            await here.press("down", "enter")
            assert here.host.heard[-1] == ("opened", 999, True)

    asyncio.run(look())


def test_another_size_cuts_the_lines_anew() -> None:
    async def look() -> None:
        async with bench((160, 20)) as here:
            await here.show(*THOUSAND)
            for width in (160, 80, 30, 20, 200):
                await here.pilot.resize_terminal(width, 20)
                await here.pilot.pause()
                assert all(RunList.render_line(here.list, y).cell_length == here.list.size.width for y in range(20))

    asyncio.run(look())


def test_what_goes_on_stays_in_sight_as_long_as_nobody_moved_the_cursor() -> None:
    async def look() -> None:
        async with bench() as here:
            first = going_on(5000, "first")
            await here.show(first, *THOUSAND)
            assert here.cursor == 5000
            done = ended(5000, "first", Outcome.COMPLETED, "outputs: 1")
            await here.show(*(going_on(6000 + n, f"r{n}") for n in range(30)), done, *THOUSAND)
            assert here.cursor == 6000
            assert here.cursor_line == 0

    asyncio.run(look())


def test_a_cursor_on_what_goes_on_stays_in_sight_though_nobody_moved_it() -> None:
    async def look() -> None:
        async with bench() as here:
            first = going_on(5000, "first")
            await here.show(first, *THOUSAND)
            await here.show(*(going_on(6000 + n, f"r{n}") for n in range(30)), first, *THOUSAND)
            assert here.cursor == 5000
            assert here.cursor_line == 19

    asyncio.run(look())


def test_a_list_that_gets_shorter_keeps_its_top_as_long_as_nobody_moved_the_cursor() -> None:
    async def look() -> None:
        async with bench() as here:
            first = going_on(5000, "first")
            done = ended(5000, "first", Outcome.COMPLETED, "outputs: 1")
            await here.show(first, *THOUSAND)
            await here.show(*(going_on(6000 + n, f"r{n}") for n in range(15)), done, *THOUSAND)
            await here.pilot.resize_terminal(100, 10)
            await here.pilot.pause()
            assert here.cursor == 6000
            assert here.cursor_line == 0

    asyncio.run(look())
