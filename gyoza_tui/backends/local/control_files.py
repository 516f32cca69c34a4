"""What the files of a control directory say. Each may be cut, empty or written by something else: ValueError then."""

from __future__ import annotations

import json
import re
import signal
from typing import Any, Final, NamedTuple, TypeVar

from gyoza_tui.backends.base import Exit
from gyoza_tui.models.clock import MOMENT_MAX

_MARK: Final = re.compile(r"[0-9a-f]{32}")
_STARTED: Final = re.compile(rb"([0-9a-z-]+) (\d{1,10}) (\d{1,20})\n")
_T = TypeVar("_T")


class RememberedAttempt(NamedTuple):
    """What is remembered of an attempt for as long as its control directory stands. No value of its environment."""

    name: str
    op: str
    run_dir: str
    cwd: str
    argv: tuple[str, ...]
    env_names: tuple[str, ...]
    labels: dict[str, str]
    mark: str
    groups: tuple[str, ...]
    limits: str


class Started(NamedTuple):
    """Which process took the attempt; pid 0 when that cannot be known any more."""

    boot: str
    pid: int
    since: int
    """Its start, in ticks since boot."""
    damage: str = ""
    """Why the file cannot be read, in words."""


def read_started(data: bytes) -> Started:
    found = _STARTED.fullmatch(data)
    if found is None:
        raise ValueError("it is empty or cut")
    return Started(found[1].decode(), int(found[2]), int(found[3]))


def read_attempt(data: bytes, name: str) -> RememberedAttempt:
    """Of the attempt with that name."""
    spec = _object(data)
    if spec.keys() != set(RememberedAttempt._fields) or spec["name"] != name:
        raise ValueError("it is not what was written there")
    attempt = RememberedAttempt(
        name=name,
        op=_typed(spec, "op", str),
        run_dir=_typed(spec, "run_dir", str),
        cwd=_typed(spec, "cwd", str),
        argv=_texts(spec, "argv"),
        env_names=_texts(spec, "env_names"),
        labels=_labels(spec),
        mark=_typed(spec, "mark", str),
        groups=_texts(spec, "groups"),
        limits=_typed(spec, "limits", str),
    )
    if not _MARK.fullmatch(attempt.mark):
        raise ValueError("its mark is not one of ours")
    return attempt


def read_end(data: bytes) -> Exit:
    end = _object(data)
    number = _optional(end, "signal", int)
    return Exit(
        code=_optional(end, "code", int),
        signal=_signal_name(number) if number else None,
        oom=_typed(end, "oom", bool),
        warning=_optional(end, "warning", str),
        not_executable=_optional(end, "not_executable", str),
        machine_fault=_optional(end, "machine_fault", str),
        started_at=_time(end, "started_at"),
        finished_at=_time(end, "finished_at"),
    )


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is empty or cut" if not data.rstrip().endswith(b"}") else "it is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is not what was written there")
    return found


def _typed(found: dict[str, Any], name: str, kind: type[_T]) -> _T:
    value = found.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"its {name} is not what was written there")
    return value


def _optional(found: dict[str, Any], name: str, kind: type[_T]) -> _T | None:
    return None if found.get(name) is None else _typed(found, name, kind)


def _time(found: dict[str, Any], name: str) -> float | None:
    seconds = found.get(name)
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < MOMENT_MAX:
        return float(seconds)
    if seconds is None:
        return None
    raise ValueError(f"its {name} is no time")


def _texts(found: dict[str, Any], name: str) -> tuple[str, ...]:
    values = _typed(found, name, list)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"its {name} are not what was written there")
    return tuple(values)


def _labels(found: dict[str, Any]) -> dict[str, str]:
    labels = _typed(found, "labels", dict)
    if not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("its labels are not what was written there")
    return labels


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
