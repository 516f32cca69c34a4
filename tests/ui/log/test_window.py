"""What is looked at stays where it is, unless it follows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyoza_tui.ui.widgets.log_view.line_text import show
from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.ui.widgets.log_view.window import Window
from gyoza_tui.worker.view.control import LogHits, LogLine, LogPage, LogQuery, Stream

HEIGHT = 5


class Log:
    """Answers whatever a window lacks."""

    def __init__(self, lines: list[str], height: int = HEIGHT, wrap_at: int | None = None) -> None:
        self.lines = [LogLine(n, Stream.STDOUT, 0.0, text.encode()) for n, text in enumerate(lines)]
        self.window = Window(show)
        self.window.height = height
        self.window.wrap_at = wrap_at
        self.asked = 0
        self.look()

    def look(self) -> None:
        window = self.window
        window.take(LogPage(tuple(self.lines[-HEIGHT:]), len(self.lines)), ())
        self.fill()

    def fill(self) -> None:
        self.window.arrange()
        for _ in range(20):
            if not (missing := self.window.missing()):
                return
            for run in missing:
                self.asked += len(run)
                found = tuple(line for line in self.lines if line.number in run)
                self.window.take(LogPage(found, len(self.lines)), run)
            self.window.arrange()
        raise AssertionError(f"it asks for ever: {missing}")

    def page(self, number: int) -> LogPage:
        """That line alone."""
        return LogPage((self.lines[number],), len(self.lines))

    def grow(self, *texts: str) -> None:
        self.lines += [LogLine(len(self.lines) + n, Stream.STDOUT, 0.0, text.encode()) for n, text in enumerate(texts)]
        self.look()

    def scroll(self, rows: int) -> None:
        self.window.scroll(rows)
        self.fill()

    @property
    def rows(self) -> list[str]:
        return [row.line.text[row.start : row.end] if row.line else "?" for row in self.window.rows]


def numbers(begin: int, end: int) -> list[str]:
    return [str(n) for n in range(begin, end)]


def test_it_follows_from_the_start() -> None:
    log = Log(numbers(0, 20))
    assert log.rows == numbers(15, 20)
    log.grow("20", "21")
    assert log.rows == numbers(17, 22)
    assert log.window.new == 0


def test_scrolling_up_stops_following_and_counts_what_is_new() -> None:
    log = Log(numbers(0, 20))
    log.scroll(-2)
    log.grow("20", "21", "22")
    assert log.rows == numbers(13, 18)
    assert not log.window.follow
    assert log.window.new == 3


def test_scrolling_to_the_end_follows_again() -> None:
    log = Log(numbers(0, 20))
    log.scroll(-2)
    log.scroll(1)
    assert not log.window.follow
    log.scroll(7)
    assert log.window.follow
    log.grow("20")
    assert log.rows == numbers(16, 21)


def test_a_log_that_fits_cannot_be_scrolled_and_goes_on_following() -> None:
    log = Log(numbers(0, 3))
    log.scroll(-3)
    assert log.rows == numbers(0, 3)
    assert log.window.follow


def test_new_lines_that_were_on_the_screen_are_new_no_more() -> None:
    log = Log(numbers(0, 20))
    log.scroll(-2)
    log.grow(*numbers(20, 30))
    log.scroll(4)
    assert log.rows == numbers(17, 22)
    assert log.window.new == 8


def test_the_first_line_on_the_screen_stays_when_the_width_changes() -> None:
    log = Log(["a" * 30, "b" * 30, "c" * 30, "d" * 30, "e" * 30, "f" * 30], wrap_at=10)
    log.window.go_to_first()
    log.fill()
    log.scroll(4)
    assert log.rows[0] == "b" * 10
    for width in (15, 7, 100, 10):
        log.window.wrap_at = width
        log.window.height = 3
        log.fill()
        assert log.rows[0][0] == "b"
        assert len(log.rows) == 3


def test_following_keeps_the_last_row_at_the_bottom_when_the_width_changes() -> None:
    log = Log(["a" * 30, "b" * 30 + "!"], wrap_at=10)
    for width in (10, 4, 50):
        log.window.wrap_at = width
        log.fill()
        assert log.rows[-1].endswith("!")


def test_the_unfinished_last_line_grows_where_it_is() -> None:
    log = Log(numbers(0, 20))
    log.lines[-1] = LogLine(19, Stream.STDOUT, 0.0, b"19 and", partial=True)
    log.look()
    log.lines[-1] = LogLine(19, Stream.STDOUT, 0.0, b"19 and more", partial=True)
    log.look()
    assert log.rows[-1] == "19 and more"
    log.window.stand_still()
    log.lines[-1] = LogLine(19, Stream.STDOUT, 0.0, b"19 and more, done")
    log.grow(*numbers(20, 40))
    assert log.rows == [*numbers(15, 19), "19 and more, done"]


def test_lines_that_were_cut_are_one_row() -> None:
    log = Log([])
    kept = numbers(0, 10)
    log.lines = [LogLine(n, Stream.STDOUT, 0.0, text.encode()) for n, text in enumerate(kept)]
    log.lines.append(LogLine(10, None, 0.0, b"cut here", partial=True, cut_lines=1000))
    log.lines += [LogLine(n, Stream.STDOUT, 0.0, str(n).encode()) for n in range(1010, 1020)]
    window = log.window

    def look(*asked: range) -> None:
        for run in asked:
            found = [line for line in log.lines if line.number + max(1, line.cut_lines) > run.start][: len(run)]
            window.take(LogPage(tuple(found), 1020), run)
        window.arrange()

    look(range(1015, 1020))
    window.scroll(-7)
    look(*window.missing())
    assert log.rows == ["cut here", *numbers(1010, 1014)]
    window.scroll(-2)
    look(*window.missing())
    assert log.rows == ["8", "9", "cut here", "1010", "1011"]
    assert window.missing() == []
    window.reveal(500)
    look(*window.missing())
    assert "cut here" in log.rows


def test_a_line_is_revealed_with_some_before_it_even_where_nothing_is_at_hand() -> None:
    log = Log(numbers(0, 1000))
    log.window.reveal(500)
    log.fill()
    assert log.rows == numbers(499, 504)
    log.window.reveal(502)
    log.fill()
    assert log.rows == numbers(499, 504)
    log.window.reveal(999)
    log.fill()
    assert log.rows == numbers(995, 1000)


def test_only_matching_lines_are_asked_for_and_shown() -> None:
    log = Log(numbers(0, 1000))
    search = Search(LogQuery("7"), "7", 999)
    log.window.show_only(search)
    log.fill()
    assert log.rows == []
    asked = log.asked
    search.take(LogHits((), None), backwards=False)
    search.take(LogHits(tuple(range(7, 1000, 100)), None), backwards=True)
    log.fill()
    assert log.rows == ["507", "607", "707", "807", "907"]
    assert log.asked - asked <= 10
    log.scroll(-3)
    assert log.rows == ["207", "307", "407", "507", "607"]
    log.window.show_only(None)
    log.fill()
    assert log.rows == numbers(207, 212)


def test_what_is_at_hand_does_not_grow_with_the_log() -> None:
    log = Log(numbers(0, 5000))
    log.window.go_to_first()
    log.fill()
    for _ in range(1200):
        log.scroll(4)
    assert log.rows == numbers(4800, 4805)
    assert sum(log.window.known.get(n) is not None for n in range(5000)) <= 1100


moves = st.lists(
    st.one_of(
        st.tuples(st.just("scroll"), st.integers(-40, 40)),
        st.tuples(st.just("width"), st.sampled_from([3, 7, 20, 0])),
        st.tuples(st.just("height"), st.integers(1, 12)),
        st.tuples(st.just("grow"), st.integers(1, 9)),
        st.tuples(st.just("reveal"), st.integers(0, 99)),
    ),
    max_size=25,
)


@given(st.lists(st.integers(0, 30), max_size=40), moves)
def test_the_window_is_full_of_consecutive_rows_wherever_it_goes(
    lengths: list[int], moved: list[tuple[str, int]]
) -> None:
    log = Log(["x" * length for length in lengths], wrap_at=7)
    for what, by in moved:
        match what:
            case "scroll":
                log.window.scroll(by)
            case "width":
                log.window.wrap_at = by or None
            case "height":
                log.window.height = by
            case "grow":
                log.grow(*["y" * (3 * by)] * by)
            case "reveal":
                log.window.reveal(by)
        log.fill()
        window = log.window
        layout = window._layout
        every = [row for line in log.lines for row in layout.rows(line.number)]
        shown = [(row.number, row.start) for row in window.rows]
        assert all(row.line is not None for row in window.rows)
        assert len(shown) == min(window.height, len(shown) if len(every) > window.height else _rows_of(log))
        if shown:
            numbers_shown = list(dict.fromkeys(number for number, _ in shown))
            assert numbers_shown == list(range(numbers_shown[0], numbers_shown[-1] + 1))
        if window.follow and log.lines:
            assert window.at_end


def _rows_of(log: Log) -> int:
    width = log.window.wrap_at
    return sum(max(1, -(-len(line.data) // width)) if width else 1 for line in log.lines)
