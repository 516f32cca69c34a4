"""What a real server tells Prometheus, read by Prometheus' own parser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gyoza_tui.metrics_endpoint import MetricsEndpoint
from gyoza_tui.models.listen_address import ListenAddress
from gyoza_tui.server import metrics, timers
from gyoza_tui.server.metrics import ServerCollector
from gyoza_tui.server.timers import Timers
from tests.metrics import Scrape
from tests.server.cluster import Cluster

GPU = {"id": 0, "vram_mb": 8000}


@pytest.fixture
def scrape(gyoza: Cluster) -> Callable[[], Scrape]:
    endpoint = MetricsEndpoint(ListenAddress.parse("0"), ServerCollector(gyoza.shared))
    endpoint.close()
    return lambda: Scrape(endpoint.page("/metrics", "").body.decode())


def _reasons(now: Scrape) -> dict[str, float]:
    """Of those that any run waits for."""
    every = [labels["reason"] for labels in now.labels("gyoza_server_queued_runs")]
    counted = {reason: now.one("gyoza_server_queued_runs", reason=reason) for reason in every}
    return {reason: number for reason, number in counted.items() if number}


def test_runs_by_state_and_workers(gyoza: Cluster, scrape: Callable[[], Scrape]) -> None:
    worker = gyoza.worker()
    gyoza.worker("w2", state="paused")
    for _ in range(3):
        gyoza.submit(secret_env={"TOKEN": "very-secret"}, inputs={"a": "in-the-inputs"})
    done, running = worker.take(2)
    worker.start(done)
    worker.report(done, "COMPLETED")
    worker.start(running)
    now = scrape()
    states = {"PENDING": 1, "RUNNING": 1, "COMPLETED": 1, "FAILED": 0}
    assert {state: now.one("gyoza_server_runs", state=state) for state in states} == states
    workers = {"claiming": 1, "paused": 1, "away": 0, "silent": 0}
    assert {state: now.one("gyoza_server_workers", state=state) for state in workers} == workers
    assert "very-secret" not in now.text
    assert "in-the-inputs" not in now.text
    gyoza.clock.advance(60)
    assert scrape().one("gyoza_server_workers", state="silent") == 2
    gyoza.clock.advance(600)
    assert scrape().one("gyoza_server_workers", state="lost") == 2


def test_the_queue_by_reason(gyoza: Cluster, scrape: Callable[[], Scrape]) -> None:
    gyoza.submit()
    assert _reasons(scrape()) == {"no_worker": 1}
    worker = gyoza.worker()
    gyoza.submit()
    gyoza.submit(constraints={"cpu": 9})
    gyoza.submit(constraints={"ram_mb": 9000})
    gyoza.submit(constraints={"vram_mb": 1})
    gyoza.submit(image="local://train")
    gyoza.submit(tags=["fast"])
    wanted = {"next": 2, "too_large": 2, "no_gpu": 1, "no_backend": 1, "no_tag": 1}
    assert _reasons(scrape()) == wanted
    worker.take(2)
    gyoza.submit(constraints={"cpu": 8})
    gyoza.submit()
    worker.beat(state="paused")
    assert _reasons(scrape())["closed"] == 2


def test_runs_that_are_held_back_are_of_their_own(gyoza: Cluster, scrape: Callable[[], Scrape]) -> None:
    gyoza.worker()
    held, _ = gyoza.submit(), gyoza.submit()
    gyoza.patch(held["id"], held=True)
    assert _reasons(scrape()) == {"next": 1, "held": 1}
    gyoza.patch(held["id"], held=False)
    assert _reasons(scrape()) == {"next": 2}


def test_runs_whose_time_has_not_come_are_of_their_own(gyoza: Cluster, scrape: Callable[[], Scrape]) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    gyoza.submit()
    [run] = worker.take()
    worker.start(run)
    failure = {"reason": "backend_unavailable", "message": "the machine"}
    worker.report(run, "FAILED", payload=failure)
    worker.forget(run)
    worker.beat()
    assert _reasons(scrape()) == {"next": 1, "backing_off": 1}
    gyoza.clock.advance(3600)
    worker.beat()
    assert _reasons(scrape()) == {"next": 2}


def test_of_many_kinds_of_runs_some_are_looked_at(
    gyoza: Cluster, scrape: Callable[[], Scrape], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "NEEDS_MAX", 1)
    gyoza.worker()
    for cpu in (1, 1, 2, 3):
        gyoza.submit(constraints={"cpu": cpu})
    assert _reasons(scrape()) == {"next": 2, "not_looked_at": 2}


def test_requests_by_route_and_status(gyoza: Cluster, scrape: Callable[[], Scrape]) -> None:
    worker = gyoza.worker()
    run = gyoza.submit()
    gyoza.run(run["id"])
    gyoza.run(run["id"])
    gyoza.get("/runs/nothing", 404)
    gyoza.get("/no/such/path", 404)
    gyoza.client.request("INVENTED", "/runs")
    worker.claim_later()
    now = scrape()

    def counted(method: str, path: str, status: int) -> float | None:
        return now.get("gyoza_server_requests_total", method=method, path=path, status=str(status))

    assert counted("POST", "/workers/heartbeat", 200) == 1
    assert counted("GET", "/runs/{run_id}", 200) == 2
    assert counted("GET", "/runs/{run_id}", 404) == 1
    assert counted("GET", "", 404) == 1
    assert counted("POST", "/runs", 201) == 1
    methods = {labels["method"] for labels in now.labels("gyoza_server_requests_total")}
    assert methods == {"GET", "POST", "OTHER"}


def test_open_claims(gyoza: Cluster, scrape: Callable[[], Scrape]) -> None:
    gyoza.worker().claim_later()
    assert scrape().one("gyoza_server_open_claims") == 1


def test_names_are_as_prometheus_has_them(scrape: Callable[[], Scrape]) -> None:
    for family in text_string_to_metric_families(scrape().text):
        assert family.name.startswith("gyoza_server"), family.name
        assert family.documentation, family.name
        assert family.type != "unknown", family.name


@pytest.mark.parametrize("trouble", [None, OSError("the disk is full")], ids=["well", "failing"])
def test_ticks_that_come_back_are_a_sign_of_life(
    gyoza: Cluster, trouble: OSError | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "TICK_S", 0.01)
    turning, writes, written = Timers(gyoza.shared), asyncio.Event(), asyncio.Event()

    async def change(_change: object) -> None:
        writes.set()
        await written.wait()
        if trouble is not None:
            raise trouble

    async def watch() -> None:
        turning.start()
        await asyncio.wait_for(writes.wait(), 10)
        gyoza.clock.advance(timers.HUNG_S + 1)
        assert not turning.go_on(), "the writer hangs"
        written.set()
        async with asyncio.timeout(10):
            while not turning.go_on():
                await asyncio.sleep(0.01)
        await turning.stop()

    monkeypatch.setattr(gyoza.shared, "change", change)
    asyncio.run(watch())
