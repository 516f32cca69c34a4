"""What the worker knows of its server, and how long it waits after a failure."""

from __future__ import annotations

import httpx
import pytest

from gyoza_tui.client.endpoints import ADD_EVENT, CLAIM, HEARTBEAT
from gyoza_tui.models.workers import HeartbeatReply
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
from tests.clock import FakeClock

_REQUEST = httpx.Request("POST", "http://server/")


def _refused(status: int, body: object = None, **headers: str) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("", request=_REQUEST, response=httpx.Response(status, json=body, headers=headers))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def link(clock: FakeClock) -> ServerLink:
    return ServerLink(clock, Notices(clock), 5)


def test_the_lease_counts_from_before_the_beat_was_sent(link: ServerLink, clock: FakeClock) -> None:
    sent_at = clock.boot()
    clock.turn(4)
    link.beaten(HeartbeatReply(lease_s=30), sent_at)
    clock.turn(25.9)
    assert link.lease_holds
    clock.turn(0.2)
    assert not link.lease_holds
    assert link.silent_s == pytest.approx(30.1)


def test_a_reply_without_our_fields_is_enough(link: ServerLink, clock: FakeClock) -> None:
    link.beaten(HeartbeatReply(), clock.boot())
    state = link.state
    assert (state.registered, state.lease_s, state.protocol, state.server_id) == (True, None, None, "")
    assert (state.heartbeat_s, state.grace_s) == (5, 300)
    assert link.lease_holds


@pytest.mark.parametrize(
    ("error", "words", "unauthorized"),
    [
        (_refused(401), "key refused", True),
        (_refused(403), "key refused", True),
        (_refused(500), "500 Internal Server Error", False),
        (httpx.ConnectError("[Errno 111] Connection refused"), "connection refused", False),
        (httpx.ReadTimeout(""), "no answer in time", False),
    ],
)
def test_each_trouble_has_its_words(
    link: ServerLink, error: httpx.HTTPError, words: str, *, unauthorized: bool
) -> None:
    link.failed(CLAIM, error)
    assert link.state.trouble is not None
    assert words in link.state.trouble
    assert link.state.unauthorized is unauthorized
    link.succeeded(CLAIM)
    well = link.state
    assert well.trouble is None
    assert not well.unauthorized


def test_the_same_trouble_is_told_once(clock: FakeClock) -> None:
    notices = Notices(clock)
    link = ServerLink(clock, notices, 5)
    for _ in range(5):
        link.failed(CLAIM, _refused(500))
    assert len(notices.recent()) == 1
    link.failed(CLAIM, _refused(401))
    link.succeeded(CLAIM)
    assert [notice.text for notice in notices.recent()][-1] == "the server answers again"


def test_another_server_at_the_same_address_is_told(clock: FakeClock) -> None:
    notices = Notices(clock)
    link = ServerLink(clock, notices, 5)
    link.beaten(HeartbeatReply(server_id="one"), clock.boot())
    link.beaten(HeartbeatReply(server_id="one"), clock.boot())
    assert not any("another server" in notice.text for notice in notices.recent())
    link.beaten(HeartbeatReply(server_id="two"), clock.boot())
    assert any("another server" in notice.text for notice in notices.recent())


def test_the_first_answer_is_told_and_the_next_is_not(clock: FakeClock) -> None:
    notices = Notices(clock)
    link = ServerLink(clock, notices, 5)
    link.failed(HEARTBEAT, httpx.ConnectError("refused", request=_REQUEST))
    sent_at = clock.boot()
    clock.turn(0.012)
    for _ in range(2):
        link.beaten(HeartbeatReply(lease_s=30), sent_at)
        link.succeeded(CLAIM)
    assert [notice.text for notice in notices.recent()][1:] == ["the server answers (12 ms)"]


def test_a_failing_endpoint_keeps_its_back_off_while_others_succeed(link: ServerLink, clock: FakeClock) -> None:
    link.beaten(HeartbeatReply(), clock.boot())
    for _ in range(6):
        link.failed(ADD_EVENT, _refused(500))
    assert link.wait_s(CLAIM) > 5, "the connection backs off too"
    link.beaten(HeartbeatReply(), clock.boot())
    assert (link.wait_s(CLAIM), link.wait_s(ADD_EVENT) > 5) == (0, True)
    assert (link.state.trouble, link.next_try_s) == ("500 Internal Server Error", link.wait_s(ADD_EVENT))
    link.succeeded(ADD_EVENT)
    assert (link.wait_s(ADD_EVENT), link.state.trouble, link.next_try_s) == (0, None, 0)
    link.failed(ADD_EVENT, _refused(500))
    assert link.wait_s(ADD_EVENT) <= 0.5, "it begins at the first pause"


@pytest.mark.parametrize(
    ("error", "kept"), [(httpx.ConnectError("[Errno 111] Connection refused"), False), (httpx.ReadTimeout(""), True)]
)
def test_what_reached_no_server_is_no_failure_of_an_endpoint(
    link: ServerLink, clock: FakeClock, error: httpx.HTTPError, *, kept: bool
) -> None:
    link.beaten(HeartbeatReply(), clock.boot())
    for _ in range(6):
        link.failed(ADD_EVENT, error)
    link.beaten(HeartbeatReply(), clock.boot())
    assert (link.wait_s(ADD_EVENT) > 0) is kept
    assert (link.state.trouble is not None) is kept


@pytest.mark.parametrize("return_", ["the same server after it was away", "another server", "the user's key"])
def test_what_ends_every_back_off(link: ServerLink, clock: FakeClock, return_: str) -> None:
    link.beaten(HeartbeatReply(server_id="one"), clock.boot())
    for _ in range(6):
        link.failed(ADD_EVENT, _refused(502))
    if return_ == "the user's key":
        link.try_now()
    else:
        server_id = "two" if return_ == "another server" else "one"
        if server_id == "one":
            link.failed(HEARTBEAT, _refused(502))
        link.beaten(HeartbeatReply(server_id=server_id), clock.boot())
    assert link.wait_s(ADD_EVENT) == 0


def test_trouble_of_several_endpoints_is_reported_once_and_is_over_with_the_last(clock: FakeClock) -> None:
    notices = Notices(clock)
    link = ServerLink(clock, notices, 5)
    for endpoint in (CLAIM, ADD_EVENT, CLAIM):
        link.failed(endpoint, _refused(500))
    link.succeeded(CLAIM)
    link.succeeded(ADD_EVENT)
    assert [notice.text for notice in notices.recent()] == [
        "server: 500 Internal Server Error; trying again",
        "the server answers again",
    ]
