"""What came of a question that was not answered."""

from __future__ import annotations

from gyoza_tui.ui.trouble import in_words
from gyoza_tui.worker.view.control import ControlError


def test_it_is_said_in_words() -> None:
    assert in_words(ControlError("the disk is full")) == "the disk is full"
    assert in_words(KeyError(7)) == "the worker does not know this attempt any more"
