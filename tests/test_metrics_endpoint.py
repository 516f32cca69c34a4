"""The port on which machines look: what is answered, and what is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client.core import GaugeMetricFamily, Metric

from gyoza_tui import metrics_endpoint
from gyoza_tui.metrics_endpoint import MetricsEndpoint, Page
from gyoza_tui.models.listen_address import ListenAddress
from tests.waiting import until


class One:
    def __init__(self) -> None:
        self.asked = 0
        self.trouble: Exception | None = None

    def collect(self) -> Iterator[Metric]:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        yield GaugeMetricFamily("one", "One.", value=1)


@pytest.fixture
def collector() -> One:
    return One()


@pytest.fixture
def endpoint(collector: One) -> Iterator[MetricsEndpoint]:
    made = MetricsEndpoint(ListenAddress.parse("0"), collector, {"/health": lambda: Page(b"well")})
    made.start()
    yield made
    made.close()


def test_what_is_answered(endpoint: MetricsEndpoint, collector: One) -> None:
    assert collector.asked == 0, "nothing is computed until somebody asks"
    answer = httpx.get(endpoint.url)
    assert (answer.status_code, answer.text.splitlines()[-1]) == (200, "one 1.0")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert httpx.get(endpoint.url, headers={"Accept": "application/openmetrics-text"}).text.endswith("# EOF\n")
    assert httpx.get(endpoint.url.replace("/metrics", "/health?x=1")).text == "well"
    assert httpx.get(endpoint.url.replace("/metrics", "/other")).status_code == 404
    assert httpx.post(endpoint.url).status_code == 501
    assert collector.asked == 2


def test_it_is_on_this_machine_only_unless_it_is_told(endpoint: MetricsEndpoint) -> None:
    assert endpoint.url.startswith("http://127.0.0.1:")


def test_what_cannot_be_computed_is_an_error_without_its_words(
    endpoint: MetricsEndpoint, collector: One, capfd: pytest.CaptureFixture[str]
) -> None:
    collector.trouble = KeyError("a secret")
    answer = httpx.get(endpoint.url)
    assert (answer.status_code, answer.text) == (500, "KeyError\n")
    assert capfd.readouterr() == ("", ""), "stderr may be a screen's"


def test_a_port_in_use(endpoint: MetricsEndpoint, collector: One) -> None:
    host, port = httpx.URL(endpoint.url).host, httpx.URL(endpoint.url).port
    with pytest.raises(OSError, match="in use"):
        MetricsEndpoint(ListenAddress(host, port or 0), collector)


def test_connections_that_say_nothing_take_no_place_for_long(
    endpoint: MetricsEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_endpoint, "_SILENT_S", 2.0)
    url = httpx.URL(endpoint.url)
    with ExitStack() as open_ones:
        for _ in range(20):
            open_ones.enter_context(socket.create_connection((url.host, url.port or 0)))
        assert not _answers(endpoint.url), "so many are not answered at once"
        until(lambda: _answers(endpoint.url), "it answers again")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def test_a_closed_one_lets_its_port_go(endpoint: MetricsEndpoint, collector: One) -> None:
    url = httpx.URL(endpoint.url)
    endpoint.close()
    until(lambda: not _answers(str(url)), "nobody answers")
    MetricsEndpoint(ListenAddress(url.host, url.port or 0), collector).close()
