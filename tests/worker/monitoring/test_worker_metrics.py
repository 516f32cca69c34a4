"""What a real worker tells Prometheus and probes, read by Prometheus' own parser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gyoza_tui.models.hardware import GpuInfo, GpuSample, HardwareSample
from gyoza_tui.models.limits import MIB
from gyoza_tui.settings import Settings
from gyoza_tui.worker.journal.row import Outcome
from gyoza_tui.worker.monitoring import vital_signs
from gyoza_tui.worker.monitoring.durations import BUCKETS_S, Durations
from gyoza_tui.worker.runner import Worker, WorkerError
from tests.metrics import Scrape
from tests.servers import KEY, ServerThread
from tests.waiting import until
from tests.worker.fake_backend import FakeBackend, FakeOp
from tests.worker.rig import Rig


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    with ServerThread(tmp_path / "server.db") as running:
        yield running


class Watched:
    """A worker with a port for metrics, on a backend in memory."""

    def __init__(self, server: ServerThread, state: Path) -> None:
        self.backend = FakeBackend()
        self.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
        settings = Settings(
            server_url=server.url,
            api_key=KEY,
            worker_id="w1",
            state_dir=state,
            pull_policy="never",
            min_free_mb=1,
            max_runs=3,
            metrics_port="0",
        )
        self.worker = Worker(settings, backends={"docker": self.backend})
        assert self.worker._metrics is not None
        self.url = self.worker._metrics.url
        self.worker.begin()

    def scrape(self) -> Scrape:
        return Scrape.of(self.url)

    def health(self) -> httpx.Response:
        return httpx.get(self.url.replace("/metrics", "/health"))


@pytest.fixture
def watched(server: ServerThread, tmp_path: Path) -> Iterator[Watched]:
    made = Watched(server, tmp_path / "state")
    yield made
    made.worker.close()


def test_a_run_from_its_claim_to_its_end(watched: Watched, server: ServerThread) -> None:
    op = watched.backend.known["op"] = FakeOp(b'{"type": "PROGRESS", "msg": 40}\n', ends_at_once=False)
    run = server.client.create_run("op", {"password": "in the inputs"}, secret_env={"TOKEN": "very-secret"})
    of_run = {"run": run.id, "attempt": "1", "op": "op"}
    until(lambda: watched.scrape().get("gyoza_worker_run_progress_ratio", **of_run) == 0.4, "its progress")

    now = watched.scrape()
    assert now.one("gyoza_worker_run_seconds", **of_run) > 0
    assert now.one("gyoza_worker_runs", phase="running") == 1
    assert now.one("gyoza_worker_runs", phase="to_deliver") == 0
    assert now.one("gyoza_worker_claimed_runs_total", taken="yes") == 1
    assert now.one("gyoza_worker_max_runs") == 3
    assert now.one("gyoza_worker_log_spool_bytes") == len(op.stdout)
    assert now.one("gyoza_worker_state", state="claiming") == 1
    assert now.one("gyoza_worker_state", state="paused") == 0
    assert now.one("gyoza_worker_server_up") == 1
    assert now.one("gyoza_worker_server_latency_seconds") > 0
    assert now.one("gyoza_worker_backend_up", backend="docker") == 1
    assert now.one("gyoza_worker_disk_free_bytes") > MIB
    assert now.one("gyoza_worker_memory_used_bytes") < now.one("gyoza_worker_memory_bytes")
    assert now.one("gyoza_worker_duty_last_ok_age_seconds", duty="heartbeat") < 20
    assert now.one("gyoza_worker_duty_ticking", duty="claim") == 1
    assert "very-secret" not in now.text
    assert "in the inputs" not in now.text

    op.go.set()
    for container in list(watched.backend.containers.values()):
        container.ended.wait(10)
    until(lambda: watched.scrape().one("gyoza_worker_ended_runs_total", outcome="completed") == 1, "its end")
    until(lambda: watched.scrape().one("gyoza_worker_reports_to_deliver") == 0, "its report is delivered")
    after = watched.scrape()
    assert after.one("gyoza_worker_run_duration_seconds_count", outcome="completed") == 1
    assert after.one("gyoza_worker_run_duration_seconds_bucket", outcome="completed", le="+Inf") == 1
    assert after.one("gyoza_worker_run_duration_seconds_sum", outcome="completed") > 0
    assert after.one("gyoza_worker_ended_runs_total", outcome="failed") == 0
    assert run.id not in after.text, "a run has series of its own only while it runs"


def test_names_are_as_prometheus_has_them(watched: Watched) -> None:
    for family in text_string_to_metric_families(watched.scrape().text):
        assert family.name.startswith("gyoza_worker"), family.name
        assert family.documentation, family.name
        assert family.type != "unknown", family.name


def test_health_is_well_without_a_server(watched: Watched, server: ServerThread) -> None:
    line = "claiming, 0 of 3 runs, server answers"
    until(lambda: watched.health().json()["worker"] == line, "the server answers")
    assert watched.health().json() == {"status": "ok", "hung": {}, "degraded": {}, "worker": line}
    server.stop()
    until(lambda: "heartbeat" in watched.health().json()["degraded"], "the server is missed")
    answer = watched.health()
    assert (answer.status_code, answer.json()["status"], answer.json()["hung"]) == (200, "degraded", {})
    assert watched.worker.parts.monitoring.goes_on()
    until(lambda: watched.scrape().one("gyoza_worker_server_trouble", kind="refused") == 1, "its trouble")
    assert watched.scrape().one("gyoza_worker_server_up") == 0
    assert watched.scrape().one("gyoza_worker_duty_errors_total", duty="heartbeat", kind="server") > 0


def test_a_duty_that_hangs_is_503_and_not_fed(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    until(lambda: watched.health().json()["status"] == "ok", "all is well")
    going_on = threading.Event()
    monkeypatch.setattr(vital_signs, "HUNG_S", 0.5)
    monkeypatch.setattr(vital_signs, "_REQUEST_PARTS", 0.5)
    monkeypatch.setattr(watched.worker.parts.heartbeat, "tick", lambda: going_on.wait(30) and 1.0)
    try:
        until(lambda: "heartbeat" in watched.health().json()["hung"], "the heartbeat hangs")
        answer = watched.health()
        assert (answer.status_code, answer.json()["status"]) == (503, "hung")
        assert "its tick has not come back for" in answer.json()["hung"]["heartbeat"]
        assert answer.json()["worker"].startswith("heartbeat hangs, ")
        assert not watched.worker.parts.monitoring.goes_on()
        assert watched.scrape().one("gyoza_worker_duty_ticking", duty="heartbeat") == 0
    finally:
        going_on.set()


def test_a_port_in_use_is_told_and_leaves_nothing(watched: Watched, server: ServerThread, tmp_path: Path) -> None:
    settings = Settings(
        server_url=server.url,
        worker_id="w2",
        state_dir=tmp_path / "state",
        metrics_port=str(httpx.URL(watched.url).port),
    )
    with pytest.raises(WorkerError, match=r"--metrics-port \d+ cannot be listened on: Address already in use"):
        Worker(settings, backends={"docker": FakeBackend()})
    Worker(settings.model_copy(update={"metrics_port": None}), backends={"docker": FakeBackend()}).close()


def test_what_a_gpu_does_not_tell_has_no_value(rig: Rig) -> None:
    gpus = (
        GpuSample(GpuInfo(0, "u0", "A", 1000), util_percent=50, memory_used_mb=100, power_w=200.5, temperature_c=60),
        GpuSample(GpuInfo(1, "u1", "B", None)),
    )
    rig.parts.history.add(HardwareSample(taken_at=rig.clock.boot(), cpu_percent=25, ram_total_mb=8, gpus=gpus))
    endpoint = rig.parts.monitoring.endpoint("0")
    endpoint.close()
    now = Scrape(endpoint.page("/metrics", "").body.decode())
    assert now.one("gyoza_worker_cpu_usage_ratio") == 0.25
    assert now.one("gyoza_worker_gpu_usage_ratio", gpu="0") == 0.5
    assert now.one("gyoza_worker_gpu_memory_used_bytes", gpu="0") == 100 * MIB
    assert now.one("gyoza_worker_gpu_power_watts", gpu="0") == 200.5
    assert now.one("gyoza_worker_gpu_temperature_celsius", gpu="0") == 60
    assert now.get("gyoza_worker_gpu_usage_ratio", gpu="1") is None
    assert now.one("gyoza_worker_gpu_up", gpu="1") == 1
    assert now.get("gyoza_worker_memory_used_bytes") is None


def test_durations_count_by_outcome(rig: Rig) -> None:
    durations = Durations()
    row = rig.row()
    durations.ended(row)
    durations.ended(row.with_(outcome=Outcome.RELEASED, outcome_at=5.0))
    for seconds in (0.5, 5.0, 100 * 3600.0):
        durations.ended(row.with_(outcome=Outcome.FAILED, started_at=10.0, outcome_at=10.0 + seconds))
    assert (durations.counts()[Outcome.FAILED], durations.counts()[Outcome.RELEASED]) == (3, 1)
    failed = durations.histogram(Outcome.FAILED)
    assert failed.sum_s == 0.5 + 5 + 360_000
    assert dict(failed.buckets)[1.0] == 1
    assert dict(failed.buckets)[5.0] == 2
    assert dict(failed.buckets)[BUCKETS_S[-1]] == 2
    assert failed.buckets[-1] == (float("inf"), 3)
    assert durations.histogram(Outcome.RELEASED).buckets[-1][1] == 0, "it never started"


def test_a_run_that_waits_to_be_delivered_has_no_series(rig: Rig) -> None:
    endpoint = rig.parts.monitoring.endpoint("0")
    endpoint.close()
    row = rig.row()
    rig.journal.update(row.key, started_at=rig.clock.utc().timestamp())
    assert Scrape(endpoint.page("/metrics", "").body.decode()).labels("gyoza_worker_run_seconds")
    rig.end(row)
    now = Scrape(endpoint.page("/metrics", "").body.decode())
    assert now.one("gyoza_worker_runs", phase="to_deliver") == 1
    assert now.labels("gyoza_worker_run_seconds") == []
