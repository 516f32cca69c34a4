"""No secret value leaves in a log, however the output is cut into pieces."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza_tui.models.runs import EventReport
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.journal.row import Outcome
from gyoza_tui.worker.op_output.redaction import (
    redact_pieces,
    redacted,
    redacted_lines,
    redacted_tail,
    secrets_in_lines,
)
from tests.worker.rig import Rig

SECRET = "hunter2hunter3"


@given(st.lists(st.integers(0, 60), max_size=8), st.text("hunter23 ", max_size=20))
def test_pieces_say_what_the_whole_says(cuts: list[int], noise: str) -> None:
    data = f"{noise} the key is {SECRET} and {noise}".encode()
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    joined = b"".join(redact_pieces(pieces, [SECRET]))
    assert joined.decode() == redacted(data.decode(), [SECRET])
    assert SECRET.encode() not in joined
    assert b"the key is ***" in joined


def test_short_values_and_none_change_nothing() -> None:
    assert redacted("a 1 b", ["1", ""]) == "a 1 b"
    assert list(redact_pieces([b"a", b"b"], [])) == [b"a", b"b"]


def test_what_json_escapes_is_found_too() -> None:
    secret = 'pass"wörd\nsecond line'
    for written in (json.dumps({"key": secret}), json.dumps({"key": secret}, ensure_ascii=False)):
        assert redacted(written, [secret]) == '{"key": "***"}'
        assert redacted_lines(written.encode() + b"\n", secrets_in_lines([secret])) == b'{"key": "***"}\n'
    assert redacted(f"{secret}\nsecond line", [secret]) == "***\n***"


def test_a_tail_that_begins_in_a_secret() -> None:
    assert redacted_tail(f"{SECRET[5:]} and {SECRET}".encode(), [SECRET]) == b" and ***"
    assert redacted_tail(b"nothing", []) == b"nothing"


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.RELEASED, Outcome.FAILED])
def test_the_reason_of_an_end_has_no_secret(rig: Rig, outcome: Outcome) -> None:
    row = rig.registered().row(secret_env={"TOKEN": SECRET})
    why = f"the engine refused TOKEN={SECRET}"
    kind = EventType.CANCELLED if outcome is Outcome.CANCELLED else EventType.FAILED
    report = None if outcome is Outcome.RELEASED else EventReport(type=kind, msg=why)
    rig.record(row).finish(outcome, why, report)
    (queued,) = rig.journal.outbox()
    said = "the engine refused TOKEN=***"
    assert said in (queued.event.msg if queued.event else "", getattr(queued.report, "reason", ""))
    assert SECRET not in f"{queued} {rig.now(row).outcome_note} {rig.said()}"
    assert said in rig.said()
