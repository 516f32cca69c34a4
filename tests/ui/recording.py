"""What a real worker showed at one moment, kept in a file; `record.py` writes them, `FakeControl` plays them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import to_json

from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.worker.view.control import Check, Children, LogLine, RunDetails, Stream
from gyoza_tui.worker.view.snapshot import Notice, RunView, Snapshot

FIXTURES: Final = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class RecordedLine:
    """A line of a log, its bytes as text that JSON can hold: byte 0xff is U+00FF."""

    number: int
    stream: Stream | None
    at: float
    data: str
    partial: bool
    cut_lines: int

    @classmethod
    def of(cls, line: LogLine) -> RecordedLine:
        return cls(line.number, line.stream, line.at, line.data.decode("latin-1"), line.partial, line.cut_lines)

    def line(self) -> LogLine:
        return LogLine(self.number, self.stream, self.at, self.data.encode("latin-1"), self.partial, self.cut_lines)


@dataclass(frozen=True)
class Recording:
    """All that a view can ask of a worker, answered."""

    snapshot: Snapshot
    past: tuple[RunView, ...] = ()
    readings: tuple[HardwareSample, ...] = ()
    told: tuple[Notice, ...] = ()
    checklist: tuple[Check, ...] = ()
    details: dict[int, RunDetails] = field(default_factory=dict)
    children: dict[int, Children] = field(default_factory=dict)
    descriptions: dict[int, dict[str, Any]] = field(default_factory=dict)
    logs: dict[int, tuple[RecordedLine, ...]] = field(default_factory=dict)
    """By key."""

    def text(self) -> str:
        named = {each.name: _named(getattr(self, each.name)) for each in fields(self)}
        return to_json(named, indent=0).decode() + "\n"

    @staticmethod
    def of(text: str) -> Recording:
        return _ADAPTER.validate_json(text)


_ADAPTER: Final = TypeAdapter(Recording)


def _named(value: Any) -> Any:
    """With the fields of what is a tuple by name, so that a person can read them."""
    if isinstance(value, dict):
        return {key: _named(each) for key, each in value.items()}
    if isinstance(value, tuple):
        each_named = [_named(each) for each in value]
        return dict(zip(value._fields, each_named, strict=True)) if hasattr(value, "_fields") else each_named
    return value


def load(name: str) -> Recording:
    return Recording.of((FIXTURES / f"{name}.json").read_text())


def save(name: str, recording: Recording) -> None:
    FIXTURES.mkdir(exist_ok=True)
    (FIXTURES / f"{name}.json").write_text(recording.text())
