"""What a worker shows, in parts, so that only what has changed is sent.

A snapshot's fields are a part each, but for its runs and duties, which are one each by key and name. The latest
reading of the hardware is sent as the newest of the samples, and not again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Any, Final, NamedTuple, TypeVar, get_type_hints

from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.worker.control_socket.wire import Codec
from gyoza_tui.worker.view.check import Check
from gyoza_tui.worker.view.control import WorkerControl
from gyoza_tui.worker.view.snapshot import DutyStatus, Notice, RunView, Snapshot

_RUN: Final = "run/"
_DUTY: Final = "duty/"
_LOG: Final = "log/"
_CHECKS: Final = "checks"
_SAMPLES: Final = "samples"
_NOTICES: Final = "notices"
_SAMPLES_MAX_S: Final = 600.0
_NOTICES_MAX: Final = 1000
_LISTED: Final = ("runs", "duties")
_T = TypeVar("_T")


@cache
def codec(part: str) -> Codec[Any]:
    """How a part of that kind is written. Raises KeyError for none of ours."""
    match part:
        case "run":
            return Codec(RunView)
        case "duty":
            return Codec(DutyStatus)
        case "checks":
            return Codec(tuple[Check, ...])
        case "samples":
            return Codec(tuple[HardwareSample, ...])
        case "notices":
            return Codec(tuple[Notice, ...])
        case "log":
            return Codec(int)
        case _:
            return Codec(get_type_hints(Snapshot)[part])


class Shown(NamedTuple):
    """All that a worker shows at one moment, as it is sent."""

    parts: Mapping[str, bytes]
    samples: Sequence[HardwareSample]
    notices: Sequence[Notice]


class Encoder:
    """Writes down what one worker shows. What is the same object as before is not written anew."""

    def __init__(self, control: WorkerControl) -> None:
        self._control = control
        self._written: dict[str, tuple[Any, bytes]] = {}

    def shown(self) -> Shown:
        snapshot = self._control.snapshot()
        values = {
            name: value for name, value in snapshot._asdict().items() if name not in _LISTED and name != "hardware"
        }
        values |= {f"{_RUN}{view.key}": view for view in snapshot.runs}
        values |= {f"{_DUTY}{duty.name}": duty for duty in snapshot.duties}
        values[_CHECKS] = self._control.checks()
        values |= self._log_sizes(snapshot)
        written = {part: self._write(part, value) for part, value in values.items()}
        self._written = written
        parts = {part: data for part, (_, data) in written.items()}
        return Shown(parts, self._control.samples(), self._control.notices())

    def with_log_sizes(self, shown: Shown) -> Shown:
        """The same, but for how long the logs have become."""
        keys = [int(part.removeprefix(_RUN)) for part in shown.parts if part.startswith(_RUN)]
        sizes = {f"{_LOG}{key}": size for key in keys if (size := self._control.log_size(key)) is not None}
        return shown._replace(parts={**shown.parts, **{part: b"%d" % size for part, size in sizes.items()}})

    def _log_sizes(self, snapshot: Snapshot) -> dict[str, int]:
        sizes = {f"{_LOG}{view.key}": self._control.log_size(view.key) for view in snapshot.runs}
        return {part: size for part, size in sizes.items() if size is not None}

    def _write(self, part: str, value: Any) -> tuple[Any, bytes]:
        known = self._written.get(part)
        if known is not None and (known[0] is value or known[0] == value):
            return value, known[1]
        return value, codec(part.partition("/")[0]).dump(value)


class Difference:
    """What one cockpit has been sent, and what is new to it."""

    def __init__(self) -> None:
        self._sent: Mapping[str, bytes] = {}
        self._sample: HardwareSample | None = None
        self._notice: Notice | None = None

    def take(self, shown: Shown) -> dict[str, bytes]:
        """Parts to send; `null` for one that is gone."""
        new = {part: data for part, data in shown.parts.items() if self._sent.get(part) != data}
        new |= {part: b"null" for part in self._sent if part not in shown.parts}
        if samples := _newer(shown.samples, self._sample):
            new[_SAMPLES], self._sample = codec(_SAMPLES).dump(samples), samples[-1]
        if notices := _newer(shown.notices, self._notice):
            new[_NOTICES], self._notice = codec(_NOTICES).dump(notices), notices[-1]
        self._sent = shown.parts
        return new


def _newer(items: Sequence[_T], last: _T | None) -> tuple[_T, ...]:
    """Those after `last`; all when it is not among them any more."""
    return tuple(takewhile(lambda item: item is not last, reversed(items)))[::-1]


class Picture:
    """The worker as a cockpit has it, put together again out of parts."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._runs: dict[int, RunView] = {}
        self._duties: dict[str, DutyStatus] = {}
        self._sizes: dict[int, int] = {}
        self.samples: tuple[HardwareSample, ...] = ()
        self.notices: tuple[Notice, ...] = ()
        self.checks: tuple[Check, ...] = ()
        self.snapshot: Snapshot | None = None

    def log_size(self, key: int) -> int | None:
        return self._sizes.get(key)

    def take(self, parts: Mapping[str, Any]) -> None:
        """What was pushed. Raises pydantic.ValidationError for what is of another version."""
        for part, value in parts.items():
            kind, _, name = part.partition("/")
            match kind:
                case "run":
                    _put(self._runs, int(name), value, kind)
                case "duty":
                    _put(self._duties, name, value, kind)
                case "log":
                    _put(self._sizes, int(name), value, kind)
                case "samples":
                    self.samples = _kept(self.samples, codec(kind).load(value))
                case "notices":
                    self.notices = (*self.notices, *codec(kind).load(value))[-_NOTICES_MAX:]
                case "checks":
                    self.checks = codec(kind).load(value)
                case _:
                    self._fields[kind] = codec(kind).load(value)
        self.snapshot = Snapshot(
            **self._fields,
            runs=tuple(self._runs[key] for key in sorted(self._runs)),
            duties=tuple(self._duties.values()),
            hardware=self.samples[-1] if self.samples else None,
        )


def _put(found: dict[Any, Any], key: int | str, value: Any, kind: str) -> None:
    if value is None:
        found.pop(key, None)
    else:
        found[key] = codec(kind).load(value)


def _kept(samples: Iterable[HardwareSample], new: Sequence[HardwareSample]) -> tuple[HardwareSample, ...]:
    """Of the last ten minutes."""
    since = new[-1].taken_at - _SAMPLES_MAX_S
    return tuple(sample for sample in (*samples, *new) if sample.taken_at > since)
