"""What terminals send, and what else may come."""

from __future__ import annotations

import pytest
from textual import events

from gyoza_tui.ui.tty.terminal_input import TerminalInput


def keys(data: bytes) -> list[str]:
    source = TerminalInput()
    return [message.key for message in source.feed(data) if isinstance(message, events.Key)]


@pytest.mark.parametrize(
    "poison",
    [
        b"\x1b[100:68;2;68u",
        b"\x1b[1114112;1;1114112u",
        b"\x1b[;;99999999999u",
        b"\xff\xfe\xc3",
    ],
)
def test_what_cannot_be_understood_costs_only_itself(poison: bytes) -> None:
    assert keys(b"a" + poison + b"q")[-1] == "q"
    assert keys(b"a" + poison + b"q")[0] == "a"


def test_keys_are_told_as_they_come() -> None:
    assert keys("D?é\x1b[A\x10".encode()) == ["D", "question_mark", "é", "up", "ctrl+p"]


def test_an_escape_is_a_key_when_nothing_follows() -> None:
    source = TerminalInput()
    assert list(source.feed(b"\x1b")) == []
    assert source.undecided
    told: list[str] = []
    while not told:
        told = [message.key for message in source.tick() if isinstance(message, events.Key)]
    assert told == ["escape"]
    assert not source.undecided


def test_the_size_in_pixels_outlives_what_broke_the_parser() -> None:
    source = TerminalInput()
    list(source.feed(b"\x1b[48;40;120;800;1200t"))
    list(source.feed(b"\x1b[100:68;2;68u"))
    (moved,) = [m for m in source.feed(b"\x1b[<0;601;401M") if isinstance(m, events.MouseDown)]
    assert (moved.x, moved.y) == (60, 20)
