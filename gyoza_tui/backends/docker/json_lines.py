"""The engine's streams of JSON objects, one a line: the progress of a pull, events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from gyoza_tui.backends.docker.stream import RawStream
from gyoza_tui.models.limits import MIB

LINE_MAX: Final = MIB


def json_lines(stream: RawStream) -> Iterator[dict[str, Any]]:
    """Each object as it comes; what is none is left out. Raises OSError as the stream does."""
    rest = b""
    while data := stream.read():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if isinstance(found := parsed(line), dict):
                yield found
        if len(rest) > LINE_MAX:
            raise ConnectionError("a line has no end")
    if isinstance(found := parsed(rest), dict):
        yield found


def parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
