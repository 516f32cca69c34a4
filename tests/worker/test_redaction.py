"""No secret value leaves in a log, however the output is cut into pieces."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gyoza_tui.worker.redaction import redact_pieces, redacted

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
