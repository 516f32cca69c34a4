"""What a backend cannot do is said once, and what was said is not kept for ever."""

from __future__ import annotations

from gyoza_tui.backends.base import BackendError
from gyoza_tui.worker.duties.complaints import Complaints
from gyoza_tui.worker.notices.notices import Notices
from tests.clock import FakeClock

_KEPT = 256


def _made() -> tuple[Complaints, list[str]]:
    notices, said = Notices(FakeClock()), list[str]()
    notices.listen(lambda notice: said.append(notice.text))
    return Complaints(notices, 60.0), said


def test_an_error_ends_what_was_done_and_is_said_once() -> None:
    complaints, said = _made()
    for _ in range(2):
        with complaints.about("docker: what is left there is not known"):
            raise BackendError("it hangs")
    assert said == ["docker: what is left there is not known: it hangs; it is tried again within 60 s"]


def test_what_was_said_is_forgotten_after_many_others() -> None:
    complaints, said = _made()
    for number in range(_KEPT):
        complaints.once(f"trouble {number}")
    complaints.once("trouble 0")
    assert len(said) == _KEPT, "it is still known"
    complaints.once("one more")
    complaints.once("trouble 0")
    assert said[-1] == "trouble 0"
