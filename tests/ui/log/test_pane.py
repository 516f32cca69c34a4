"""The log pane as a person uses it."""

from __future__ import annotations

import re

import pytest
from textual.geometry import Offset
from textual.selection import Selection

from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.run.steps import steps_line
from gyoza_tui.ui.run.tools import selected_log
from gyoza_tui.ui.screens.line import LineScreen
from gyoza_tui.ui.widgets.log_view import LogView, TooMuch
from gyoza_tui.ui.widgets.log_view.view import FEED
from gyoza_tui.ui.widgets.prompt import Prompt
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.view.control import LogLine, LogPage, Stream
from gyoza_tui.worker.view.snapshot import Outcome, PullProgress, RetryNotice, RunView, StepView
from tests.ui.fake_control import NOW, SLICE_LINES, FakeControl
from tests.ui.log.pane import KEY, numbered, opened, run, shown_run
from tests.ui.still_clock import StillClock

HOSTILE = b"".join(
    [
        bytes(range(256)).replace(b"\n", b""),
        b"\x1b]52;c;Y2FuYXJ5\x07\x1b]8;;http://c\x07\x1b]0;t\x07\x1bPq#0~~\x1b\\",
        "\x9b2J\x9d0;t\x9c\u202e\u2066[/foo][bold]".encode(),
    ]
)


def test_it_opens_at_the_end_and_follows() -> None:
    async def look() -> None:
        async with opened(numbered(500)) as it:
            assert it.rows == [f"line {n}" for n in range(490, 500)]
            assert "FOLLOW  500" in it.title
            it.grow(b"line 500")
            await it.until(lambda: it.rows[-1] == "line 500", "the new line")
            await it.until(lambda: "FOLLOW  501" in it.title, "the new total")

    run(look())


def test_scrolling_up_stops_it_and_what_is_new_is_counted() -> None:
    async def look() -> None:
        async with opened(numbered(500)) as it:
            await it.press("pageup")
            before = it.rows
            it.grow(*numbered(120))
            await it.until(lambda: "+120 new" in it.title, "what is new")
            assert it.rows == before
            assert "FOLLOW" not in it.title
            await it.press("G")
            await it.settled()
            assert it.rows[-1] == "line 119"
            await it.until(lambda: "FOLLOW  620" in it.title, "the new total")

    run(look())


def test_following_never_moves_sideways() -> None:
    async def look() -> None:
        async with opened([b"x" * 40 + b"y" * 40 for _ in range(50)]) as it:
            await it.press("right")
            sideways = it.rows[0]
            assert sideways.startswith("x" * 11 + "y")
            it.grow(b"x" * 40 + b"z" * 40)
            await it.until(lambda: "z" in it.rows[-1], "the new line")
            assert it.rows[-1] == sideways.replace("y", "z")
            await it.press("left", "left")
            assert it.rows[0].startswith("x" * 40)

    run(look())


def test_nothing_is_painted_again_when_nothing_has_changed() -> None:
    async def look() -> None:
        async with opened(numbered(50)) as it:
            painted: list[object] = []
            it.view.refresh = lambda *regions, **more: painted.append(regions)  # type: ignore[assignment, method-assign]
            it.fake.log_size = lambda key: None  # type: ignore[method-assign]  # as of one that is not written here
            for _ in range(5):
                it.pane.look_at_log()
                it.pane.show_run(shown_run())
                await it.settled()
            assert painted == []
            it.grow(b"more")
            await it.until(lambda: painted, "the new line")

    run(look())


def test_a_log_that_is_known_not_to_have_grown_is_not_read() -> None:
    async def look() -> None:
        async with opened(numbered(50)) as it:
            read: list[int] = []
            lines = it.fake.log_lines

            def counted(key: int, start: int, count: int, line_max: int = 8192) -> LogPage:
                read.append(key)
                return lines(key, start, count, line_max)

            it.fake.log_lines = counted  # type: ignore[method-assign]
            for _ in range(5):
                it.pane.look_at_log()
                await it.settled()
            assert read == [KEY]
            it.grow(b"more")
            await it.until(lambda: it.rows[-1] == "more", "the new line")
            assert read == [KEY, KEY]

    run(look())


def test_what_came_at_once_is_searched_to_its_end_though_nothing_follows() -> None:
    async def look() -> None:
        async with opened(numbered(10)) as it:
            it.pane.start_find()
            await it.press("l", "i", "n", "e")
            await it.settled()
            it.grow(*(b"line %d" % n for n in range(10, 10 + 5 * SLICE_LINES)))
            await it.settled()
            for _ in range(3):
                it.pane.look_at_log()
                await it.settled()
            assert it.view.find is not None
            assert len(it.view.find) == it.view.total == 10 + 5 * SLICE_LINES

    run(look())


def test_find_goes_to_the_nearest_match_while_typing_counts_all_and_steps() -> None:
    async def look() -> None:
        async with opened(numbered(1000)) as it:
            it.pane.start_find()
            await it.press(*"ne 9")
            await it.until(lambda: "/ne 9 103/111" in it.title, "all counted")
            assert it.view.cursor == 991
            await it.press("5", "5")
            await it.until(lambda: "/ne 955 1/1" in it.title, "the only match")
            await it.press("backspace", "enter")
            await it.until(lambda: "/ne 95 11/11" in it.title, "the nearest of eleven")
            assert it.app.focused is it.view
            await it.press("N", "N")
            assert it.view.cursor == 957
            await it.press("n")
            assert it.view.cursor == 958
            assert not it.view.follows

    run(look())


def test_next_goes_round_when_all_is_counted() -> None:
    async def look() -> None:
        async with opened(numbered(300)) as it:
            it.view.look_for("line 1")
            await it.settled()
            count = len(re.findall("line 1", "\n".join(f"line {n}" for n in range(300))))
            search = it.view.find
            assert search is not None
            assert len(search) == count
            it.view.go_to(search.at(count - 1))
            await it.press("n")
            await it.settled()
            assert it.view.cursor == 1
            await it.press("N")
            await it.settled()
            assert it.view.cursor == search.at(count - 1)

    run(look())


def test_esc_takes_back_the_input_with_its_search_then_the_filter_then_the_search() -> None:
    async def look() -> None:
        async with opened(numbered(300)) as it:
            before = it.rows
            it.pane.start_find()
            await it.press(*"line 7")
            await it.settled()
            assert it.rows != before
            assert it.pane.step_back()
            await it.settled()
            assert it.rows == before
            assert it.view.find is None
            it.view.look_for("line 1")
            it.view.show_only("2")
            await it.settled()
            assert it.pane.step_back()
            assert it.view.only is None
            assert it.view.find is not None
            assert it.pane.step_back()
            assert it.view.find is None
            assert not it.pane.step_back()

    run(look())


def test_only_matching_lines_are_shown_and_the_filter_grows_with_the_log() -> None:
    async def look() -> None:
        async with opened(numbered(300)) as it:
            await it.press("ampersand", *"ne 29", "enter")
            await it.until(lambda: "&ne 29 11" in it.title, "the filter")
            await it.settled()
            assert it.rows == [f"line {n}" for n in range(290, 300)]
            it.grow(b"other", b"line 2999")
            await it.until(lambda: it.rows[-1] == "line 2999", "the new match")
            assert "other" not in it.rows
            await it.press("ampersand")
            await it.settled()
            assert it.rows[-2:] == ["other", "line 2999"]

    run(look())


def test_errors_are_gone_to_in_both_directions() -> None:
    async def look() -> None:
        lines = numbered(900)
        lines[100], lines[700] = b"ValueError: no", b"\x1b[31mTraceback (most recent call last):\x1b[0m"
        async with opened(lines) as it:
            for key, place in (
                ("left_square_bracket", 700),
                ("left_square_bracket", 100),
                ("right_square_bracket", 700),
            ):
                await it.press(key)
                await it.until(lambda place=place: it.view.cursor == place, f"line {place}")  # type: ignore[misc]
            await it.press("right_square_bracket")
            await it.until(lambda: it.app._notifications, "words that there is none")
            assert it.view.cursor == 700

    run(look())


@pytest.mark.parametrize(
    ("typed", "number"), [("02:14:20", 100), ("02:15", 500), ("2026-03-14 02:14:11", 10), ("999999d", 0)]
)
def test_t_goes_to_a_time(typed: str, number: int) -> None:
    """The fake's lines come ten a second from 02:14:10 on; it is 02:14:10 of the next day."""

    async def look() -> None:
        async with opened(numbered(1000)) as it:
            it.pane._options.clock.pass_s(86_400)  # type: ignore[attr-defined]
            await it.press("T", *typed, "enter")
            await it.until(lambda: it.view.cursor == number, f"line {number}")
            assert not it.app.query_one(Prompt).asking

    run(look())


def test_what_is_no_time_is_refused_and_can_be_mended() -> None:
    async def look() -> None:
        async with opened(numbered(10)) as it:
            await it.press("T", *"25:99", "enter")
            assert it.app.query_one(Prompt).asking
            assert "not a time" in str(it.app.query_one("#refusal").render())
            assert it.pane.step_back()
            assert not it.app.query_one(Prompt).asking

    run(look())


def test_wrapping_and_times_change_rows_and_keep_the_place() -> None:
    async def look() -> None:
        async with opened([b"%03d " % n + b"x" * 70 for n in range(100)]) as it:
            await it.press("g")
            await it.settled()
            await it.press("w")
            assert it.rows[0].startswith("000 ")
            assert it.rows[1] == "x" * 16
            await it.press("t")
            assert it.rows[0].startswith("02:14:10 000 x")
            assert it.rows[1] == " " * 9 + "x" * 25
            await it.press("t", "w")
            assert it.rows[0].startswith("000 ")
            assert it.rows[1].startswith("001 ")

    run(look())


def test_the_cursor_moves_by_lines_and_scrolls_at_the_edge() -> None:
    async def look() -> None:
        async with opened(numbered(100)) as it:
            await it.press("up")
            assert it.view.cursor == 99
            await it.press(*["up"] * 10)
            await it.settled()
            assert it.view.cursor == 89
            assert it.rows[0] == "line 89"
            await it.press("down")
            assert it.view.cursor == 90
            await it.press("home")
            await it.settled()
            assert it.rows[0] == "line 0"

    run(look())


def test_enter_shows_the_whole_line_wrapped() -> None:
    async def look() -> None:
        long = b"begin " + b"x" * 9000 + b" end"
        async with opened([*numbered(50), long]) as it:
            assert it.rows[-1].endswith("\u00bb")
            await it.press("enter")
            await it.until(lambda: isinstance(it.app.screen, LineScreen), "the line's screen")
            view = it.app.screen.query_one(LogView)
            await it.until(lambda: view.line is not None, "the line")
            assert view.line is not None
            assert view.line.text == long.decode()
            assert "begin" in view.render_line(0).text
            await it.press("G")
            await it.pilot.pause()
            assert "end" in "".join(view.render_line(y).text for y in range(view.size.height))
            await it.press("escape")
            await it.until(lambda: not isinstance(it.app.screen, LineScreen), "back")

    run(look())


def test_selected_text_is_the_clean_text_also_over_what_is_not_wrapped_alike() -> None:
    async def look() -> None:
        async with opened([b"\x1b[31mred\x1b[0m \x07bell", "\u65e5\u672c".encode(), b"third"]) as it:
            it.app.screen.selections = {it.view: Selection(Offset(4, 0), Offset(2, 2))}
            await it.pilot.pause()
            assert await it.view.selected_text() == "\u2407bell\n\u65e5\u672c\nth"
            await it.press("w")
            assert await it.view.selected_text() == "\u2407bell\n\u65e5\u672c\nth"

    run(look())


def test_the_mouse_selects_by_dragging_and_by_clicks() -> None:
    async def look() -> None:
        async with opened([b"alpha beta gamma", b"\xe6\x97\xa5 /path/to.log end"], size=(60, 4)) as it:
            await it.pilot.mouse_down(it.view, offset=(7, 0))
            await it.pilot.hover(it.view, offset=(4, 1))
            await it.pilot.mouse_up(it.view, offset=(4, 1))
            assert await it.view.selected_text() == "beta gamma\n\u65e5 /"
            await it.pilot.click(it.view, offset=(8, 1), times=2)
            assert await it.view.selected_text() == "/path/to.log"
            await it.pilot.click(it.view, offset=(8, 0), times=3)
            assert await it.view.selected_text() == "alpha beta gamma"

    run(look())


def test_what_is_dragged_to_an_edge_goes_on_and_is_copied_whole_however_long() -> None:
    async def look() -> None:
        async with opened(numbered(3000)) as it:
            it.view.go_to_first()
            await it.settled()
            await it.pilot.mouse_down(it.view, offset=(1, 3))
            await it.pilot.hover(it.view, offset=(3, 9))
            first = it.rows[0]
            await it.until(lambda: it.rows[0] not in (first, "line 1", "line 2"), "that the text moves")
            it.view.go_to(2500)
            await it.settled()
            await it.pilot.hover(it.view, offset=(6, 5))
            at = it.rows[5]
            await it.pilot.mouse_up(it.view, offset=(6, 5))
            await it.until(lambda: not it.view.selects, "that the button is up")
            text = await it.view.selected_text()
            assert text.split("\n") == [*(f"line {n}" for n in range(3, int(at.split()[1]))), "line 2"]

    run(look())


def test_a_drag_that_stays_at_the_line_it_began_on_moves_nothing() -> None:
    async def look() -> None:
        async with opened(numbered(100)) as it:
            it.view.scroll_rows(-20)
            await it.settled()
            before = it.rows
            await it.pilot.mouse_down(it.view, offset=(1, 0))
            await it.pilot.hover(it.view, offset=(4, 0))
            assert it.rows == before
            assert await it.view.selected_text() == "line"
            await it.pilot.hover(offset=(4, 0))  # the rule above it
            await it.until(lambda: it.rows[1:] != before[1:], "that the text moves")
            it.app.push_screen(LineScreen(it.fake, UiOptions(clock=StillClock()), 1, 1))
            await it.until(lambda: it.app.mouse_captured is None and not it.view.selects, "the drag's end")

    run(look())


def test_more_than_a_clipboard_is_for_is_refused_in_words() -> None:
    async def look() -> None:
        async with opened([b"x" * 100] * 30_000) as it:
            for last, words in ((25_000, "more than 20,000 lines"), (15_000, "more than 1,000,000 characters")):
                it.app.screen.selections = {it.view: Selection(Offset(0, 0), Offset(9, last))}
                with pytest.raises(TooMuch, match=words):
                    await it.view.selected_text()

    run(look())


def test_three_clicks_beside_the_log_select_nothing_in_it() -> None:
    """Textual selects all that stands in the same container, without asking it."""

    async def look() -> None:
        async with opened(numbered(5)) as it:
            await it.pilot.click(Rule, offset=(5, 0), times=3)
            assert it.view in it.app.screen.selections
            assert selected_log(it.app.screen) is None
            assert await it.view.selected_text() == ""

    run(look())


def test_a_drag_of_which_the_end_was_not_told_leaves_no_timer() -> None:
    async def look() -> None:
        async with opened(numbered(5)) as it:
            before = len(it.view._timers)
            for _ in range(3):
                await it.pilot.mouse_down(it.view, offset=(5, 1))
            assert len(it.view._timers) == before + 1
            it.pane.show_run(shown_run(key=7))
            await it.pilot.pause()
            assert len(it.view._timers) == before

    run(look())


def test_only_lines_that_are_shown_are_copied_and_another_log_has_nothing_selected() -> None:
    async def look() -> None:
        async with opened(numbered(40)) as it:
            it.view.show_only("5")
            await it.settled()
            it.app.screen.selections = {it.view: Selection(Offset(0, 5), Offset(7, 25))}
            assert await it.view.selected_text() == "line 5\nline 15\nline 25"
            it.pane.show_run(shown_run(key=2))
            await it.settled()
            assert it.app.screen.selections == {}

    run(look())


def test_wheel_and_scrollbar_move() -> None:
    async def look() -> None:
        async with opened(numbered(1000)) as it:
            it.view.scroll_rows(-3)
            await it.settled()
            assert it.rows[-1] == "line 996"
            await it.pilot.mouse_down(it.view, offset=(59, 0))
            await it.pilot.mouse_up(it.view, offset=(59, 0))
            await it.settled()
            assert it.rows[0] == "line 0"
            await it.pilot.mouse_down(it.view, offset=(59, 9))
            await it.pilot.mouse_up(it.view, offset=(59, 9))
            await it.settled()
            assert it.view.follows
            assert await it.view.selected_text() == ""

    run(look())


def test_nothing_of_a_hostile_log_reaches_the_screen() -> None:
    async def look() -> None:
        giant = b"\x1b]52;c;" + b"Y2FuYXJ5" * 1_300_000
        async with opened([HOSTILE, giant, b"bar\r" * 3000, b"\x1b[8mhidden\x1b[5mblink"], size=(120, 12)) as it:
            seen = []
            for keys in ((), ("w",), ("w", "right"), ("left",)):
                await it.press(*keys)
                await it.settled()
                for strip in it.strips:
                    seen.append(strip.text)
                    assert strip.cell_length == 120
                    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|Y2FuYXJ5", strip.text)
            assert any("\\u202e\\u2066[/foo][bold]" in text for text in seen)
            assert any("\u2026 +10149 KiB" in text for text in seen)

    run(look())


def test_another_run_is_another_log_and_no_run_says_so() -> None:
    async def look() -> None:
        async with opened(numbered(20)) as it:
            it.pane.show_run(None)
            await it.settled()
            assert it.rows[0] == "No run is selected."
            it.pane.show_run(shown_run(key=2))
            await it.settled()
            assert it.rows[0] == "No output yet."
            it.pane.show_run(shown_run(key=2)._replace(again=RetryNotice("the registry is down", NOW)))
            await it.pilot.pause()
            assert it.rows[0] == "No output yet. Tried again: the registry is down"
            it.pane.show_run(shown_run(key=2)._replace(again=RetryNotice("the registry is " + "down " * 20, NOW)))
            await it.pilot.pause()
            assert it.rows[0].startswith("No output yet. Tried again: the registry is down down")
            assert it.rows[0].endswith("…")
            it.pane.show_run(shown_run(key=3, outcome=Outcome.COMPLETED, cleaned=True))
            await it.settled()
            assert it.rows[0] == "This run has left no output here."

    run(look())


def test_one_task_reads_the_log_that_is_shown_and_none_when_there_is_none() -> None:
    async def look() -> None:
        async with opened(numbered(20)) as it:

            def readers() -> int:
                return sum(each.is_running for each in it.app.workers if each.group == FEED)

            for key in (2, 3):
                it.pane.show_run(shown_run(key=key))
                await it.settled()
                await it.until(lambda: readers() == 1, "one reads")
            it.pane.show_run(None)
            await it.until(lambda: readers() == 0, "nobody reads")

    run(look())


def test_a_log_that_cannot_be_read_says_why_and_comes_when_it_can() -> None:
    async def look() -> None:
        async with opened([]) as it:
            it.fake.trouble = "the disk [/foo] is gone"
            it.grow(b"not")
            await it.until(lambda: it.rows[0] == "the disk [/foo] is gone", "the reason")
            it.fake.trouble = None
            it.grow(b"there")
            await it.until(lambda: it.rows[:2] == ["not", "there"], "the log")

    run(look())


def test_errors_of_the_op_stand_behind_a_red_edge() -> None:
    class Mixed(FakeControl):
        def log_lines(self, key: int, start: int, count: int, line_max: int = 8192) -> LogPage:
            lines = LogLine(0, Stream.STDOUT, NOW, b"out"), LogLine(1, Stream.STDERR, NOW, b"err")
            return LogPage((*lines, LogLine(2, None, NOW, b"[gyoza-tui: cut here]", True, 5)), 7)

    async def look() -> None:
        async with opened([]) as it:
            it.pane._control = Mixed()
            it.pane.show_run(shown_run(key=9))
            await it.settled()
            out, err, cut = it.strips[:3]
            assert (out.text[0], err.text[0], cut.text[0]) == (" ", "\u258e", " ")
            edge = next(iter(err)).style
            assert edge is not None
            assert edge.color == it.view.get_component_rich_style("log--error", partial=True).color

    run(look())


def test_what_only_tells_how_far_the_op_is_is_dim() -> None:
    lines = [b'{"type": "PROGRESS", "msg": 41}', b'{"type": "ERROR", "msg": "x"}', b"text"]

    async def look() -> None:
        async with opened(lines) as it:
            assert it.rows[:3] == [line.decode() for line in lines]
            muted = it.view.get_component_rich_style("log--report", partial=True).color
            shown = [segment.style and segment.style.color for strip in it.strips[:3] for segment in list(strip)[1:2]]
            assert [color == muted for color in shown] == [True, False, False]

    run(look())


STEPS = ("prepare_inputs", "pull_latest_image", "start_oprun", "run_container", "complete_oprun", "cleanup_op_dir")


def at_step(now_at: int, pull: PullProgress | None = None) -> RunView:
    """5 s after the other, each of the steps before took 4.2 s."""
    steps = (
        StepView(name, NOW - 204 + 5 * i if i <= now_at else None, NOW - 199.8 + 5 * i if i < now_at else None)
        for i, name in enumerate(STEPS)
    )
    return shown_run()._replace(steps=tuple(steps), pull=pull)


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (200, "\u2713inputs 4.2s \u2713image 4.2s \u2713start 4.2s \u25bacontainer 3:09 \u00b7complete \u00b7cleanup"),
        (60, "\u2713inputs \u2713image \u2713start \u25bacontainer 3:09 \u00b7complete \u00b7cleanup"),
        (30, "\u2713\u2713\u2713\u25ba\u00b7\u00b7  container 3:09"),
        (15, "container 3:09"),
        (6, "\u2713\u2713\u2713\u25ba\u00b7\u00b7"),
        (3, ""),
    ],
)
def test_the_title_says_where_the_run_is_in_as_many_cells_as_there_are(cells: int, shown: str) -> None:
    assert steps_line(at_step(3), NOW, cells).plain == shown


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (Outcome.FAILED, "✓inputs 4.2s ✗image 4.2s ·start ·container ·complete ✓cleanup 4.2s"),
        (Outcome.RELEASED, "✓inputs 4.2s «image 4.2s ·start ·container ·complete ✓cleanup 4.2s"),
        (Outcome.CANCELLED, "✓inputs 4.2s ⊘image 4.2s ·start ·container ·complete ✓cleanup 4.2s"),
    ],
)
def test_a_step_that_was_not_done_has_no_tick(outcome: Outcome, shown: str) -> None:
    at_image = at_step(2)
    inputs, image, *later = at_image.steps
    cleanup = later.pop()._replace(began_at=image.began_at, ended_at=image.ended_at)
    steps = (inputs, image, *(step._replace(began_at=None, ended_at=None) for step in later), cleanup)
    ended = at_image._replace(steps=steps, outcome=outcome)
    assert steps_line(ended, NOW, 200).plain == shown


def test_while_an_image_is_pulled_the_title_says_how_much() -> None:
    def wide(pull: PullProgress, again: RetryNotice | None = None) -> str:
        return steps_line(at_step(1, pull)._replace(again=again), NOW, 200).plain

    assert "\u25baimage 3/8 layers 120/400M 3:19" in wide(PullProgress(120 << 20, 400 << 20, 3, 8))
    assert "\u25baimage 0/? layers 0M/? 3:19" in wide(PullProgress())
    assert "\u25baimage again in 5 s 3:19" in wide(PullProgress(), RetryNotice("the registry is down", NOW + 5))


def test_the_narrow_title_keeps_the_run_and_where_we_are() -> None:
    async def look() -> None:
        async with opened(numbered(18_204), size=(80, 24)) as it:
            it.pane.show_run(at_step(3))
            assert it.title.startswith("\u2500\u2500 Log  a1b2c3d4  ")
            await it.until(lambda: "container 3:09" in it.title, "the step")
            assert "FOLLOW  18,204" in it.title

    run(look())
