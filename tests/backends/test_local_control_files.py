"""The files of a control directory: each part of them that is not what was written there is refused in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gyoza_tui.backends.base import Exit
from gyoza_tui.backends.local.control_files import Started, read_attempt, read_end, read_started

SPEC: dict[str, Any] = {
    "name": "a", "op": "op", "run_dir": "/r", "cwd": "/", "argv": ["true"], "env_names": ["A"], "labels": {"l": "v"},
    "mark": "0123456789abcdef" * 2, "groups": [], "limits": "",
}  # fmt: skip
END: dict[str, Any] = {"code": 3, "signal": None, "oom": False, "started_at": 1, "finished_at": 2.5}


def test_what_was_written_is_read() -> None:
    assert read_attempt(json.dumps(SPEC).encode(), "a").argv == ("true",)
    assert read_end(json.dumps(END).encode()) == Exit(3, started_at=1.0, finished_at=2.5)
    assert read_end(json.dumps(END | {"signal": 9}).encode()).signal == "SIGKILL"
    assert read_end(json.dumps(END | {"signal": 99}).encode()).signal == "SIG99"
    assert read_started(b"0-boot 12 345\n") == Started("0-boot", 12, 345)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"}, {"more": 1}, {"op": 7}, {"run_dir": None}, {"cwd": []}, {"argv": "true"}, {"argv": [1]},
        {"env_names": {}}, {"labels": []}, {"labels": {"l": 1}}, {"mark": "x"}, {"mark": 7}, {"groups": [None]},
        {"limits": 0},
    ],
)  # fmt: skip
def test_no_other_spec_is_taken(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not"):
        read_attempt(json.dumps(SPEC | change).encode(), "a")


@pytest.mark.parametrize(
    "change",
    [
        {"code": "0"}, {"code": True}, {"signal": 1.5}, {"oom": 0}, {"warning": 1}, {"not_executable": []},
        {"machine_fault": {}}, {"started_at": "1"}, {"started_at": True}, {"started_at": -1}, {"finished_at": 1e300},
        {"finished_at": float("nan")}, {"finished_at": float("inf")},
    ],
)  # fmt: skip
def test_no_other_end_is_taken(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"its \w+ is"):
        read_end(json.dumps(END | change).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"7", b"[" * 50_000, b"{} {}"])
def test_no_other_json_is_taken(data: bytes) -> None:
    for read in (read_end, lambda found: read_attempt(found, "a")):
        with pytest.raises(ValueError, match="it is"):
            read(data)


@pytest.mark.parametrize(
    "data", [b"", b"boot 1", b"boot 1 2", b"boot -1 2\n", b"boot 1 2\n\n", b"boot 12345678901 2\n"]
)
def test_no_other_note_of_a_start_is_taken(data: bytes) -> None:
    with pytest.raises(ValueError, match="it is empty or cut"):
        read_started(data)
