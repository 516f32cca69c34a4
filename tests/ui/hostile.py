"""A recording whose words from outside do what they can to a terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gyoza_tui.models.filters import op_name
from gyoza_tui.worker.view.control import RunDetails
from gyoza_tui.worker.view.snapshot import RunView
from tests.ui.recording import RecordedLine, Recording

WORDS: Final = (
    "[/foo] [bold red]op[/]",
    "\x1b[2J\x1b]52;c;b3duZWQ=\x07clear",
    "\u202eevil\u202c\u2066bidi\u2069",
    "x" * 10_000,
    "学習率\U0001f95fワイド" * 4,
    "a\r\nb\tc\x00\x9b31m\x7f",
    "\udcff\ue000e\u0301\u200d\ufeff",
)


def _word(number: int) -> str:
    return WORDS[number % len(WORDS)]


def _view(view: RunView) -> RunView:
    key = view.key
    return view._replace(
        op_definition=_word(key),
        op_name=op_name(_word(key + 1), _word(key), view.op_name.partition("@")[2]),
        image=_word(key + 1),
        inputs=_word(key + 2),
        outcome_note=_word(key + 3),
        intent_note=_word(key + 4),
        last_line=_word(key + 5),
    )


def _details(details: RunDetails) -> RunDetails:
    view = _view(details.view)
    server = details.server
    if server is not None:
        events = [
            event.model_copy(update={"msg": _word(n), "payload": {_word(n + 1): _word(n)}})
            for n, event in enumerate(server.events)
        ]
        inputs = {_word(view.key): _word(view.key + 2)}
        server = server.model_copy(update={"inputs": inputs, "worker_id": _word(0), "events": events})
    return details._replace(view=view, server=server, refused=WORDS)


def _line(line: RecordedLine) -> RecordedLine:
    return replace(line, data=_word(line.number).encode(errors="surrogateescape").decode("latin-1"))


def hostile(recording: Recording) -> Recording:
    snapshot = recording.snapshot
    return replace(
        recording,
        snapshot=snapshot._replace(
            worker_id=_word(0),
            backends={**snapshot.backends, _word(0): _word(1)},
            disk=_word(2),
            runs=tuple(map(_view, snapshot.runs)),
        ),
        past=tuple(map(_view, recording.past)),
        details={key: _details(details) for key, details in recording.details.items()},
        logs={key: tuple(map(_line, lines)) for key, lines in recording.logs.items()},
    )
