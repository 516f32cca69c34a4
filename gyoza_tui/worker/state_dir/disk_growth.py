"""Which run has filled a disk, judged by two samples of what each run has written there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from gyoza_tui.models.limits import MIB

Written: TypeAlias = Mapping[str, int]
"""Bytes by the directory that they are in."""
Samples: TypeAlias = dict[str, "Sample"]
"""Of each disk, by the path that names it."""
_FILE_MAX: Final = 4 * MIB


class Sample(NamedTuple):
    """One disk at one moment."""

    free: int
    """Bytes."""
    written: Mapping[str, Written | None]
    """By each run's name; None for a run that could not be measured."""


class Growth(NamedTuple):
    name: str
    """The run's."""
    place: str
    """The directory that grew most."""
    bytes: int
    lost: int
    """How many bytes of room the disk lost in the same time."""


def most_grown(before: Sample, now: Sample) -> Growth | None:
    """The run that grew most, where our runs made at least half of the loss of room; None where they did not.

    A run that was not there before has grown by all that it has written.
    """
    lost = before.free - now.free
    grown: dict[str, dict[str, int]] = {}
    for name, written in now.written.items():
        earlier = before.written.get(name, {})
        if written is not None and earlier is not None:
            grown[name] = {place: max(0, size - earlier.get(place, 0)) for place, size in written.items()}
    totals = {name: sum(places.values()) for name, places in grown.items()}
    if lost <= 0 or 2 * sum(totals.values()) < lost:
        return None
    name = max(totals, key=totals.__getitem__)
    place = max(grown[name], key=grown[name].__getitem__)
    return Growth(name, place, totals[name], lost)


def save(path: Path, samples: Samples) -> None:
    """For the next start, which may find the disk full. Written whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(json.dumps({disk: sample._asdict() for disk, sample in samples.items()}))
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)


def load(path: Path) -> Samples:
    """What a former start has saved; nothing where that cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            found = json.loads(file.read(_FILE_MAX))
        return {str(disk): _sample(entry) for disk, entry in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _sample(entry: Mapping[str, object]) -> Sample:
    free, written = entry["free"], entry["written"]
    if not isinstance(free, int) or not isinstance(written, dict):
        raise TypeError("no sample")
    return Sample(free, {str(name): _written(places) for name, places in written.items()})


def _written(places: object) -> Written | None:
    if places is None:
        return None
    if not isinstance(places, dict) or not all(isinstance(size, int) for size in places.values()):
        raise TypeError("no sizes")
    return places
