"""Times of a log's lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from gyoza_tui.models import durations
from gyoza_tui.ui.widgets.log_view.source import LogReader

_OF_DAY: Final = ("%H:%M:%S", "%H:%M")
_OF_YEAR: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


def moment(text: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    """A time that a person typed: `02:14`, `02:14:10`, `2026-03-14 02:14`, `10m` ago; None: not understood.

    A time of day is the last one before now, in `zone`.
    """
    text = text.strip()
    if (ago := durations.with_units(text.removeprefix("-"))) is not None:
        return _before(now, ago)
    here = now.astimezone(zone)
    if (day := _parsed(text, _OF_DAY)) is not None:
        wanted = here.replace(hour=day.hour, minute=day.minute, second=day.second, microsecond=0)
        return wanted if wanted <= here else wanted - timedelta(days=1)
    whole = _parsed(text, _OF_YEAR)
    return None if whole is None else whole.replace(tzinfo=zone).astimezone(zone)


def _before(now: datetime, ago_s: float) -> datetime:
    try:
        return now - timedelta(seconds=ago_s)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def first_line_at(source: LogReader, when: float) -> int:
    """The number of the first line that came at or after UTC second `when`, else of the last one. Blocks."""
    low, high = 0, source.lines(-1, 1).total
    last = high - 1
    while low < high:
        middle = (low + high) // 2
        line = next(iter(source.lines(middle, 1).lines), None)
        if line is None or line.at >= when:
            high = middle
        else:
            low = max(middle, line.number + max(1, line.cut_lines) - 1) + 1
    return max(0, min(low, last))


def _parsed(text: str, forms: tuple[str, ...]) -> datetime | None:
    for form in forms:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the zone comes with the caller
        except ValueError:
            continue
    return None
