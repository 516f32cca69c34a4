"""What the engine's record of a container's state means."""

from __future__ import annotations

import calendar
import re
import signal
import time
from typing import Any, Final

from gyoza_tui.backends.base import AttemptPhase, Exit, State

KILLED_INSIDE: Final = "a process inside was killed for memory"
_SIGNALLED: Final = 128
_NEVER: Final = "0001-01-01T00:00:00Z"
_INIT_FAILED: Final = re.compile(rb"\[FATAL tini \(\d+\)\] exec (.+) failed: (.+)")
_INIT_CODES: Final = frozenset({1, 126, 127})


def parse_time(text: str | None) -> float | None:
    """UTC seconds of an RFC 3339 time in UTC; None for the engine's zero time."""
    if not text or text == _NEVER:
        return None
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def read_state(record: dict[str, Any]) -> State:
    """Of `State` in an inspection: whose fault a bad end was is not in it."""
    started, status = parse_time(record.get("StartedAt")), record.get("Status")
    if started is None:
        # Also after a start that failed, which the engine records with an exit code of its own making.
        return AttemptPhase.GONE if status in ("dead", "removing") else AttemptPhase.CREATED
    if record.get("Running") or status in ("running", "paused", "restarting"):
        return AttemptPhase.RUNNING
    code, killed_for_memory = int(record.get("ExitCode") or 0), bool(record.get("OOMKilled"))
    oom = killed_for_memory and code == _SIGNALLED + signal.SIGKILL
    return Exit(
        code=code,
        signal=_signal_name(code),
        oom=oom,
        warning=KILLED_INSIDE if killed_for_memory and not oom else None,
        started_at=started,
        finished_at=parse_time(record.get("FinishedAt")),
    )


def in_life(end: Exit, died_at: float) -> bool:
    """Whether a death heard of at `died_at` is that end, and not one before a later start."""
    return end.started_at is None or end.started_at <= died_at


def init_failure(end: Exit, last_words: bytes) -> str | None:
    """Why the command never ran, by the init's last line on stderr; None when it did run."""
    match = _INIT_FAILED.search(last_words)
    if end.code not in _INIT_CODES or match is None:
        return None
    command, cause = (part.decode(errors="replace").strip() for part in match.groups())
    return f"the command {command!r} cannot be started: {cause}"


def may_be_init_failure(end: Exit) -> bool:
    """An init fails at once; a long run needs no look into its log."""
    lasted = (end.finished_at or 0) - (end.started_at or 0)
    return end.code in _INIT_CODES and lasted < 5


def _signal_name(code: int) -> str | None:
    if code <= _SIGNALLED:
        return None
    try:
        return signal.Signals(code - _SIGNALLED).name
    except ValueError:
        return None
