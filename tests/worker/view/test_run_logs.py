"""Logs as views ask for them: numbers that agree, searches that count what a naive one counts, giant lines cheaply."""

from __future__ import annotations

from pathlib import Path
from time import thread_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gyoza_tui.backends.base import Chunk, Stream
from gyoza_tui.models.ansi import without_escapes
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.op_output.log_spool.lines import TAIL_MAX
from gyoza_tui.worker.view.control import ERRORS, LogLine, LogQuery
from gyoza_tui.worker.view.run_logs import LogLocation, RunLogs

OUT, ERR = Stream.STDOUT, Stream.STDERR

KEY = 7
_count = 0


def new_spool(tmp_path: Path, max_bytes: int = 64 * MIB) -> tuple[LogSpool, RunLogs]:
    global _count
    _count += 1
    path = tmp_path / f"spool{_count}"
    return LogSpool(path, max_bytes), RunLogs(lambda key: {KEY: LogLocation(path)}[key])


def put(spool: LogSpool, *parts: bytes | tuple[Stream, bytes]) -> None:
    for i, part in enumerate(parts):
        stream, data = part if isinstance(part, tuple) else (OUT, part)
        spool.append(Chunk(stream, data), 1000.0 + i)
    spool.flush()


def every_line(logs: RunLogs, size: int = 1000) -> list[LogLine]:
    lines: list[LogLine] = []
    start = 0
    while page := logs.lines(KEY, start, size, 1 << 30).lines:
        lines += page
        start = page[-1].number + max(1, page[-1].cut_lines)
    return lines


def found(logs: RunLogs, query: LogQuery, *, backwards: bool = False) -> list[int]:
    numbers: list[int] = []
    line: int | None = 1 << 40 if backwards else 0
    while line is not None:
        hits = logs.search(KEY, query, line, backwards=backwards)
        assert list(hits.numbers) == sorted(hits.numbers)
        assert hits.next_line is None or (hits.next_line < line if backwards else hits.next_line > line)
        numbers = [*hits.numbers, *numbers] if backwards else [*numbers, *hits.numbers]
        line = hits.next_line
    return numbers


def naive(logs: RunLogs, query: LogQuery) -> list[int]:
    texts = ((line.number, without_escapes(line.data.decode(errors="replace"))) for line in every_line(logs))
    return [number for number, text in texts if query.pattern.search(text)]


def test_a_negative_start_counts_from_the_end(tmp_path: Path) -> None:
    spool, logs = new_spool(tmp_path)
    put(spool, b"".join(b"line %d\n" % i for i in range(100)) + b"unfinished")
    page = logs.lines(KEY, -2, 10, 8192)
    assert [(line.number, line.data, line.partial) for line in page.lines] == [
        (99, b"line 99", False),
        (100, b"unfinished", True),
    ]
    assert page.total == 101
    assert logs.lines(KEY, -1000, 1, 8192).lines[0].number == 0


def test_a_log_that_is_not_there_is_empty_and_an_attempt_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    logs = RunLogs(lambda key: {KEY: LogLocation(tmp_path / "nothing")}[key])
    assert logs.lines(KEY, -5, 5, 8192).lines == ()
    assert logs.search(KEY, ERRORS, 0, backwards=False).numbers == ()
    assert logs.search(KEY, ERRORS, 9, backwards=True).next_line is None
    assert list(logs.bytes(KEY)) == []
    with pytest.raises(KeyError):
        logs.lines(KEY + 1, 0, 1, 8192)


def test_a_text_is_no_expression(tmp_path: Path) -> None:
    spool, logs = new_spool(tmp_path)
    put(spool, b"(a+)+$ [a] \\d 7.\n" + b"a" * 40 + b"!\n")
    for text in ("(a+)+$", "[a]", "\\d", "(", "7."):
        assert found(logs, LogQuery(text)) == [0], text


def test_what_stands_in_an_escape_sequence_is_not_found(tmp_path: Path) -> None:
    spool, logs = new_spool(tmp_path)
    put(spool, b"\x1b]0;error\x07title\n\x1b[31mer\x1b[0mror\n\x9b31m\xc2\x9b1mfatal\n", b"\x1b]8;;fatal\n plain\n")
    assert found(logs, ERRORS) == [1, 2]


def test_a_match_never_reaches_over_a_lines_end(tmp_path: Path) -> None:
    spool, logs = new_spool(tmp_path)
    put(spool, b"begin\nend\nbegin end\r\nend\r\n")
    assert found(logs, LogQuery("begin\nend")) == []
    assert found(logs, LogQuery("n\n")) == []
    assert found(logs, LogQuery("end")) == [1, 2, 3]
    assert found(logs, LogQuery("")) == [0, 1, 2, 3]


def test_without_a_capital_letter_case_does_not_matter(tmp_path: Path) -> None:
    spool, logs = new_spool(tmp_path)
    put(spool, "Loss\nLOSS\nloss\n\u00c4RGER\n\u00e4rger\n".encode())
    assert found(logs, LogQuery("loss")) == [0, 1, 2]
    assert found(logs, LogQuery("Loss")) == [0]
    assert found(logs, LogQuery("\u00e4rger")) == [3, 4]


pieces = st.lists(
    st.tuples(
        st.sampled_from([OUT, ERR]),
        st.lists(st.sampled_from([b"error", b"a", b"\n", b"\x1b[1m", b"Fatal\n", b"\x1b]0;", b"\xff\xc3"]), max_size=9),
        st.integers(1, 100),
    ),
    max_size=25,
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(pieces, st.sampled_from([1_000, 8_000, 64 * MIB]))
def test_searching_finds_what_a_naive_search_of_every_line_finds(
    tmp_path: Path, parts: list[tuple[Stream, list[bytes], int]], max_bytes: int
) -> None:
    spool, logs = new_spool(tmp_path, max_bytes)
    put(spool, *((stream, b"".join(some) * times) for stream, some, times in parts if some))
    numbers = [line.number for line in every_line(logs, 7)]
    assert numbers == sorted(set(numbers))
    for query in (ERRORS, LogQuery("a"), LogQuery("F"), LogQuery("cut here")):
        assert found(logs, query) == naive(logs, query)
        assert found(logs, query, backwards=True) == naive(logs, query)


def test_many_slices_find_each_line_once(tmp_path: Path) -> None:
    spool, logs = new_spool(tmp_path)
    put(
        spool,
        *(b"".join(b"line %d: %s\n" % (i, b"x" * (i % 97)) for i in range(n, n + 500)) for n in range(0, 40_000, 500)),
    )
    sevens = [i for i in range(40_000) if i % 10 == 7]
    assert found(logs, LogQuery("7:")) == sevens
    assert found(logs, LogQuery("7:"), backwards=True) == sevens


def test_a_giant_line_costs_its_begin_and_its_end(tmp_path: Path) -> None:
    spool, logs = new_spool(tmp_path, 512 * MIB)
    put(spool, b"before error\n", *[b"y" * 65536] * 480, b"the end of it error\nafter error\n")
    began = thread_time()
    giant, after = logs.lines(KEY, 1, 2, 8192).lines
    assert (giant.number, after.number) == (1, 2)
    assert len(giant.data) == 8192
    assert len(giant.data) + giant.lacks == 480 * 65536 + len(b"the end of it error")
    assert len(giant.tail) == TAIL_MAX
    assert giant.tail.endswith(b"yythe end of it error")
    assert found(logs, LogQuery("error")) == [0, 1, 2]
    assert found(logs, LogQuery("error"), backwards=True) == [0, 1, 2]
    assert thread_time() - began < 0.5


def test_a_progress_bar_without_a_newline_shows_its_last_state(tmp_path: Path) -> None:
    spool, logs = new_spool(tmp_path)
    for i in range(3000):
        spool.append(Chunk(OUT, b"\rstep %05d of 3000 ########################" % i), 1000.0 + i)
    spool.flush()
    page = logs.lines(KEY, -10, 10, 8192)
    (bar,) = page.lines
    assert bar.partial
    assert bar.tail.endswith(b"\rstep 02999 of 3000 ########################")
    assert len(bar.data) + bar.lacks == spool.bytes


def test_what_is_left_of_a_line_whose_middle_was_cut_is_one_line(tmp_path: Path) -> None:
    spool, logs = new_spool(tmp_path, 4000)
    put(spool, b"<" + b"z" * 20_000 + b">", b"\nlast\n")
    lines = every_line(logs)
    assert [line.number for line in lines] == sorted({line.number for line in lines})
    joined = b"".join(line.data for line in lines if line.number == 0)
    assert joined.startswith(b"<zz")
    assert joined.endswith(b"z>")
    assert b"cut here" in joined
    assert found(logs, LogQuery("cut here")) == [0]


def test_secrets_are_neither_shown_nor_found_nor_saved(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path / "spool", 64 * MIB)
    put(spool, b"begin\nkey: -----BEGIN-----\nMIIE", b"vQIB\nhunt", b"er2 and hunter2\nend\n")
    secrets = ("hunter2", "-----BEGIN-----\nMIIEvQIB")
    logs = RunLogs(lambda _: LogLocation(tmp_path / "spool", secrets))
    shown = [line.data for line in every_line(logs)]
    assert shown == [b"begin", b"key: ***", b"***", b"*** and ***", b"end"]
    assert b"".join(logs.bytes(KEY)).splitlines() == shown
    assert found(logs, LogQuery("hunter")) == []
    assert found(logs, LogQuery("MIIE")) == []
    assert found(logs, LogQuery("end")) == [4]


@pytest.mark.parametrize("at", range(1, 8))
def test_what_may_be_part_of_a_secret_is_not_shown_where_a_line_is_cut(tmp_path: Path, at: int) -> None:
    spool = LogSpool(tmp_path / "spool", 64 * MIB)
    put(spool, b"x" * (100 - at) + b"hunter2" + b"y" * 20_000 + b"hunter2" + b"z" * (TAIL_MAX - 7 + at) + b"\n")
    [line] = RunLogs(lambda _: LogLocation(tmp_path / "spool", ("hunter2",))).lines(KEY, 0, 1, 100).lines
    assert line.data == b"x" * (100 - at) + (b"***" if at == 7 else b"")
    assert line.tail.strip(b"z") == b""
