"""The engine's own notice of an end: it is given before the network is taken down, for which an inspection waits."""

from __future__ import annotations

import contextlib
import json
from types import TracebackType
from typing import Any, Final

from gyoza_tui.backends.base import Exit
from gyoza_tui.backends.docker.ends import KILLED_INSIDE
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.json_lines import json_lines

_BEHIND_OUTPUT_S: Final = 1.0
"""How much later than the end of the output it may come, before the engine is asked instead."""
_NS: Final = 10**9


class EndNotice:
    """Of one container; asked for before the start."""

    def __init__(self, engine: Engine, container: str) -> None:
        filters = {"type": ["container"], "container": [container], "event": ["start", "oom", "die"]}
        self._stream = engine.stream("GET", "/events", {"filters": json.dumps(filters)}, timeout_s=_BEHIND_OUTPUT_S)

    def good_end(self) -> Exit | None:
        """The end with exit 0, to be asked for when the output is over.

        None when it did not end, or ended in another way: whose fault that was is not for the engine to say.
        """
        heard: dict[str, dict[str, Any]] = {}
        with self._stream as events, contextlib.suppress(OSError):
            for event in json_lines(events):
                heard[str(event.get("Action"))] = event
                if "die" in heard:
                    return _good(heard)
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
    if heard["die"]["Actor"]["Attributes"].get("exitCode") != "0":
        return None
    return Exit(
        code=0,
        warning=KILLED_INSIDE if "oom" in heard else None,
        started_at=_at(heard.get("start")),
        finished_at=_at(heard["die"]),
    )


def _at(event: dict[str, Any] | None) -> float | None:
    return None if event is None else event["timeNano"] / _NS
