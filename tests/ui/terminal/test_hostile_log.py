"""A log that would take the terminal over: none of it gets there but as letters and colours, in the log's place."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Final

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.commands import COMMAND
from tests.ui.terminal.desk import NAME, Desk
from tests.ui.terminal.tmux import tmux_session
from tests.waiting import until

_HOSTILE: Final = r"""
import sys
out = sys.stdout.buffer
def line(payload):
    out.write(b"CANARY " + payload + b"CANARY\n")
for number in range(256):
    line(bytes((number,)))
for number in range(0x80, 0xA0):
    line(chr(number).encode() + b"2J")
for body in (b"52;c;Q0FOQVJZ", b"0;CANARY", b"2;CANARY", b"8;;http://canary/", b"10;?", b"4;1;#123456", b"1337;File=:"):
    line(b"\x1b]" + body + b"\x07")
    line(b"\x1b]" + body + b"\x1b\\")
    line(b"\x1b]" + body)
for opener in (b"P", b"X", b"^", b"_", b"Pq#0;2;0;0;0", b"_Gf=24;"):
    line(b"\x1b" + opener + b"CANARY\x1b\\")
    line(b"\x1b" + opener + b"CANARY")
for code in (b"2J", b"3J", b"H", b"1;1H", b"99;1H", b"5A", b"9B", b"r", b"2;3r", b"?1049l", b"?25h", b"?1003h",
             b"?2004h", b"6n", b"c", b">c", b"5n", b"18t", b"21t", b"4h", b"20h", b"!p", b"5L",
             b"5M", b"9S", b"9T", b"2K", b"5i"):
    line(b"\x1b[" + code)
for code in (b"c", b"7", b"8", b"M", b"D", b"E", b"H", b"#8", b"(0", b")0", b"n", b"o", b"=", b">", b"Z", b" F", b"%G"):
    line(b"\x1b" + code)
line(b"\x1b[31;8;5mcoloured\x1b[0m")
line(b"[/foo] [bold] [@click=app.bell]x[/] [link=http://canary/]y[/link]")
line("\u202e\u2066\u200f\u061c\u200b\ufeff\u2028 bidi".encode())
out.write(b"10 MB " + b"\x1b]52;c;Q0FOQVJZ\x07CANARY " * 500_000 + b"\n")
line(b"\x1b[")
out.write(b"the end\n")
out.flush()
"""
_SEQUENCE: Final = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[^\[\]])")
_OURS: Final = re.compile(
    rb"\[[0-9;]*m|\[[0-9;]*H|\[\?(?:1000|1002|1006|1004|25|1049|2004|2026|2048|7)[hl]|\[\?20[24][68]\$p|\[[<>][0-9]*u"
    rb"|\]22;[a-z-]*\x07"
)
_BARE_CONTROL: Final = re.compile(rb"[\x00-\x06\x08\x09\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]|\xc2[\x80-\x9f]")
_INVISIBLE: Final = re.compile("[\u202e\u2066\u200f\u061c\ufeff\u2028]")


def hostile_run(desk: Desk, image: str) -> OpRun:
    run = desk.house.ended(desk.house.client.create_run(image))
    assert run.state is RunState.COMPLETED
    return run


def outside_the_log(lines: list[str]) -> Iterator[str]:
    (title,) = [number for number, line in enumerate(lines) if line.startswith("── Log")]
    yield from lines[:title]
    yield lines[-1]


def judge(lines: list[str]) -> None:
    outside = list(outside_the_log(lines))
    assert not [line for line in outside if "CANARY" in line.replace('"CANARY', "")], outside
    assert NAME in outside[0]
    assert any(line.startswith("── Runs  0 active · 1 done") for line in outside)
    assert outside[-1].startswith(" ? help") or " help " in outside[-1]


def test_none_of_it_reaches_the_terminal(desk: Desk) -> None:
    image = desk.house.op("hostile", sys.executable, "-I", "-S", "-c", _HOSTILE)
    with desk.screen() as session:
        hostile_run(desk, image)
        session.wait_for("the end")
        session.wait_for("1 done")
        session.type("3")
        for keys in ("g", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", " ", "w", "g", "G"):
            session.type(keys)
            until(lambda: "CANARY" in session.text, "a page of the log")
            judge(session.lines)
        session.wait_for("the end")
        raw = bytes(session.raw)
        desk.ends_well(session)
    sequences = {match[1] for match in _SEQUENCE.finditer(raw)}
    assert [sequence for sequence in sequences if not _OURS.fullmatch(sequence)] == []
    rest = _SEQUENCE.sub(b"", raw)
    assert b"\x1b" not in rest
    assert b"\x07" not in rest
    assert _BARE_CONTROL.search(rest) is None
    assert _INVISIBLE.search(rest.decode()) is None


def test_nothing_outside_the_log_changes_in_tmux(desk: Desk) -> None:
    image = desk.house.op("hostile", sys.executable, "-I", "-S", "-c", _HOSTILE)
    with tmux_session(desk) as tmux:
        tmux.type(f"{COMMAND}; echo code $?", "Enter")
        until(lambda: NAME in tmux.lines[0], "the screen")
        desk.until_known()
        hostile_run(desk, image)
        tmux.wait_for("the end")
        tmux.wait_for("1 done")
        tmux.type("3")
        for keys in ("g", "Space", "Space", "Space", "Space", "Space", "Space", "w", "G"):
            tmux.type(keys)
            until(lambda: "CANARY" in tmux.text, "a page of the log")
            judge(tmux.lines)
        tmux.type("D")
        tmux.wait_for("Drain this worker?")
        tmux.type("y")
        tmux.wait_for("code 0")
