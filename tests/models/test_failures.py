"""A failure in words."""

from __future__ import annotations

import pytest

from gyoza_tui.models.failures import Failure, FailureReason, plain_end


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Failure(reason=FailureReason.OP_ERROR, exit_code=3, message=plain_end(3, None)), "op_error, exit 3"),
        (
            Failure(reason=FailureReason.OP_ERROR, exit_code=139, signal="SIGSEGV", message=plain_end(139, "SIGSEGV")),
            "op_error, exit 139, SIGSEGV",
        ),
        (Failure(reason=FailureReason.OP_ERROR, exit_code=3, message="no good"), "op_error, exit 3: no good"),
        (Failure(reason=FailureReason.IMAGE_NOT_FOUND, message="no image"), "image_not_found: no image"),
    ],
)
def test_nothing_is_said_twice(failure: Failure, words: str) -> None:
    assert failure.words == words


def test_what_the_op_said_of_it() -> None:
    failed = Failure(reason=FailureReason.OP_ERROR, message="", log_tail="one\n\x1b[31mno disk\x1b[0m\n\n")
    assert failed.cause(None) == "no disk"
    found = failed.model_copy(update={"error_line": "no GPU\x1b[0m"})
    assert found.cause(None) == "no GPU"
    assert failed.cause("no such\nlabel") == "no such␊label"
    assert Failure(reason=FailureReason.OP_ERROR, message="").cause(None) == ""
    timeout = failed.model_copy(update={"reason": FailureReason.TIMEOUT})
    assert timeout.cause("an old error") == "", "the reason says it all"
