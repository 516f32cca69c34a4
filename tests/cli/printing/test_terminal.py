"""Text from outside on a person's terminal."""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from rich.cells import cell_len

from gyoza_tui.cli import terminal
from gyoza_tui.models.text import visible


def test_hidden_characters_are_made_visible() -> None:
    assert visible("a\x1b[2Jb\r\n\x00\x7f") == "a␛[2Jb␍␊␀␡"
    assert visible("\u202eevil\u200b\x9b\udc80") == "\\u202eevil\\u200b\\u009b\\udc80"
    assert visible("ünïcode 餃子 😀") == "ünïcode 餃子 😀"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"\x1b[31mred\x1b[0m\n", b"\x1b[31mred\x1b[0m\n"),
        (b"a\x1b[2Jb\x1b[10;10Hc", b"abc"),
        (b"a\x1b]52;c;aGk=\x07b", b"ab"),
        (b"a\x1b]0;title\x1b\\b", b"ab"),
        (b"a\x1bPq#0\x1b\\b", b"ab"),
        (b"\x1b[?1049h\x1bc\x07\x08\x00x\ty", b"x\ty"),
        ("é 餃子".encode(), "é 餃子".encode()),
        (b"a\xc2\x9b2Jb", b"ab"),
        (b"line 1 \x1b]oops\nline 2\n", b"line 1 \nline 2\n"),
        (b"line 1 \x1bPoops\nline 2 \x1b]", b"line 1 \nline 2 "),
        (b"a\x1b\x00[2Jb\x1b[3\x001mc", b"a[2Jb1mc"),
        (b"10%\r20%\n", b"10%\r20%\n"),
    ],
)
def test_an_ops_output_keeps_its_colours_and_nothing_else(sent: bytes, shown: bytes) -> None:
    for cut in range(len(sent) + 1):
        assert b"".join(terminal.for_terminal([sent[:cut], b"", sent[cut:]])) == shown


def test_output_that_is_no_text_controls_nothing() -> None:
    assert b"".join(terminal.for_terminal([b"a\x9b", b"2Jb\xe9"])) == "a\ufffd2Jb\ufffd".encode()


def test_a_progress_bar_is_shown_as_it_comes() -> None:
    bar = [b"\r\x1b[K\x1b[32m10%", b" \r\x1b[K\x1b[32m20%", b"\x1b]8;;http", b"://x\x07"]
    assert list(terminal.for_terminal(bar)) == [b"\r\x1b[32m10%", b" \r\x1b[32m20%", b"", b"", b""]


def test_an_escape_sequence_without_an_end_is_not_waited_for_longer_than_needed() -> None:
    pieces = [b"\x1b]0;", *[b"x" * 1000] * 100, b"shown"]
    assert b"".join(terminal.for_terminal(pieces)).endswith(b"x" * 1000 + b"shown")


def test_a_table_for_a_program_wraps_nothing_and_has_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(["A", "B"], [[("[/red]x\x1b[2J", "red"), ("y" * 500, "")]])
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["A", "B"]
    assert row == "[/red]x␛[2J" + "  " + "y" * 500 or row.split() == ["[/red]x␛[2J", "y" * 500]
    assert "\x1b" not in row


def test_a_narrow_terminal_cuts_only_what_may_be_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("LINES", "20")
    row = [("COMPLETED", ""), ("train-ba", ""), ("gyoza-demo:3.11.7", ""), ("餃子 " * 40, "")]
    for columns in (60, 20):
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal.table(["STATE", "RUN", "OP", "NOTE"], [row], elastic={"OP", "NOTE"})
        head, line = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
        assert head.split() == ["STATE", "RUN", "OP", "NOTE"]
        assert line.startswith("COMPLETED  train-ba  gyoza-dem")
        assert line.endswith("…")
        assert cell_len(line) <= max(columns, 9 + 8 + 2 * terminal.COLUMN_MIN + 6)


def test_the_widest_columns_are_cut_to_one_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    began = time.process_time()
    terminal.table(["A", "B", "C"], [[("a" * 12, ""), ("b" * 99, ""), ("c" * 3_000_000, "")]], elastic={"A", "B", "C"})
    assert time.process_time() - began < 3, "however wide they are"
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert [len(cell) for cell in line.split()] == [12, 22, 22]


def test_a_terminal_that_is_too_narrow_for_that_is_spared_whole_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("LINES", "20")
    headings = ["STATE", "RUN", "OP", "DONE", "NOTE"]
    row = [("COMPLETED", ""), ("train-ba", ""), ("x" * 40, ""), ("100%", ""), ("y" * 40, "")]
    for columns, shown in (
        (60, headings),
        (49, headings),
        (48, ["STATE", "RUN", "OP", "NOTE"]),
        (40, ["STATE", "RUN", "OP"]),
    ):
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal.table(headings, [row], elastic={"OP", "NOTE"}, expendable=["DONE", "NOTE"])
        head, line = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
        assert head.split() == shown
        assert cell_len(line) <= columns


def test_an_empty_table_is_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(["A", "B"], [], elastic={"A"})
    assert capsys.readouterr().out.split() == ["A", "B"]


def test_times_are_relative_or_exact() -> None:
    when = datetime.now(UTC) - timedelta(seconds=75)
    assert terminal.Times().told(when) == "1m15s"
    assert terminal.Times().ago(when) == "1m15s ago"
    assert terminal.Times().after(when, when + timedelta(seconds=2)) == "+2.0s"
    exact = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert terminal.Times(utc=True).told(when.astimezone(timezone(timedelta(hours=9)))) == exact
    assert terminal.Times(utc=True).ago(when) == terminal.Times(utc=True).after(when, when) == exact
    assert terminal.Times().ago(None) == terminal.Times(utc=True).told(None) == "-"


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.out_json({"a": "\x1b\u202eé"})
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {"a": "\x1b\u202eé"}


def test_a_long_line_of_a_message_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("x" * 5000 + "\nnext")
    first, second = capsys.readouterr().err.splitlines()
    assert len(first) == terminal.MESSAGE_LINE
    assert second == "next"
    assert sys.stderr is not None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0.0s"), (3.21, "3.2s"), (61, "1m01s"), (3600, "1h00m"), (90_000, "25h00m"), (270_000, "3d03h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert terminal.duration(seconds) == words
