"""The engine's own notice of an end: it is given before the network is taken down, for which an inspection waits."""

from __future__ import annotations

import contextlib
import json
from types import TracebackType
from typing import Any, Final, NamedTuple

from gyoza_tui.backends.base import Exit
from gyoza_tui.backends.docker.ends import KILLED_INSIDE
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.json_lines import json_lines

_BEHIND_OUTPUT_S: Final = 1.0
"""How much later than the end of the output it may come, before the engine is asked instead."""
_NS: Final = 10**9


class Death(NamedTuple):
    """What the engine's events say of the end of a container's processes."""

    at: float
    """UTC seconds by the engine's clock."""
    good_end: Exit | None
    """The end with exit 0 that no signal came before; of any other it is not for the engine to say whose fault it is,
    nor whether the container is only being restarted."""


class EndNotice:
    """Of one container; asked for before the start."""

    def __init__(self, engine: Engine, container: str) -> None:
        filters = {"type": ["container"], "container": [container], "event": ["start", "kill", "oom", "die"]}
        self._stream = engine.stream("GET", "/events", {"filters": json.dumps(filters)}, timeout_s=_BEHIND_OUTPUT_S)

    def death(self) -> Death | None:
        """To be asked for when the output is over; None when no death was heard of."""
        heard: dict[str, dict[str, Any]] = {}
        with self._stream as events, contextlib.suppress(OSError):
            for event in json_lines(events):
                heard[str(event.get("Action"))] = event
                if "die" in heard:
                    return Death(_at(event), _good(heard))
        return None

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> EndNotice:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _good(heard: dict[str, dict[str, Any]]) -> Exit | None:
    if "kill" in heard or heard["die"]["Actor"]["Attributes"].get("exitCode") != "0":
        return None
    start = heard.get("start")
    return Exit(
        code=0,
        warning=KILLED_INSIDE if "oom" in heard else None,
        started_at=None if start is None else _at(start),
        finished_at=_at(heard["die"]),
    )


def _at(event: dict[str, Any]) -> float:
    return float(event["timeNano"]) / _NS
