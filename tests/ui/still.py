"""A recording without what differs each time: times, readings, made up ids."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.ui.recording import Recording

_UTC: Final = 1773454450.0
_BOOT: Final = 100_000.0
_ALWAYS: Final[dict[str, Any]] = {
    "version": 1,
    "utc": _UTC,
    "taken_at": _BOOT,
    "claimed_at": _UTC - 60,
    "started_at": _UTC - 50,
    "outcome_at": _UTC - 10,
    "left_at": _UTC - 5,
    "progress_at": _UTC - 20,
    "progress_from": 0.0,
    "progress_since": _UTC - 50,
    "left_s": 30.0,
    "began_at": _UTC - 50,
    "ended_at": _UTC - 45,
    "at": _UTC - 30,
    "beat_at": _BOOT - 1,
    "last_ok": _BOOT - 1,
    "next_try": _BOOT + 1,
    "latency_ms": 5.0,
    "disk_free_mb": 100_000,
    "history_version": 1,
    "cpu_percent": 50.0,
    "cpu_cores": 4,
    "load_1m": 1.0,
    "ram_used_mb": 4096,
    "ram_total_mb": 16384,
    "gpu_note": None,
    "gpus": [],
    "lease": "lease",
    "server_id": "server",
}
"""By the field's name; what is None stays None."""
_NOT_SHOWN: Final[dict[str, Any]] = {"readings": [], "told": [], "checklist": [], "details": {}, "descriptions": {}}


def still(recording: Recording) -> Recording:
    return Recording.of(json.dumps(_stilled(json.loads(recording.text())) | _NOT_SHOWN))


def _stilled(value: Any) -> Any:
    if isinstance(value, list):
        return [_stilled(each) for each in value]
    if isinstance(value, dict):
        return {name: _still_field(name, each) for name, each in value.items()}
    return value


def _still_field(name: str, value: Any) -> Any:
    return _ALWAYS[name] if name in _ALWAYS and value is not None else _stilled(value)
