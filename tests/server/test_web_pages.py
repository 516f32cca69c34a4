"""What a web page in a browser of this machine can ask of the server: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.server.keys import Keys
from gyoza_tui.server.roles import Role
from tests.server.cluster import Cluster, cluster

RUN = b'{"image": "busybox"}'
JSON = {"Content-Type": "application/json"}
HOST = "localhost:5555"


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path / "keyed.db", keys=Keys({Role.ADMIN: "k"}), own_key=Path("/home/me/key")) as made:
        made.client.headers["X-API-Key"] = "k"
        yield made


def refused(gyoza: Cluster, headers: dict[str, str]) -> tuple[int, str]:
    reply = gyoza.client.post("/runs", content=RUN, headers=headers)
    assert "X-Server-Id" in reply.headers
    return reply.status_code, reply.json().get("code")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"])
def test_a_body_needs_the_type_of_json(gyoza: Cluster, keyed: Cluster, kind: str) -> None:
    for server in (gyoza, keyed):
        assert refused(server, {"Content-Type": kind} if kind else {}) == (415, "invalid")
        assert server.get("/runs") == []


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_parameters_of_the_type_pass(gyoza: Cluster, kind: str) -> None:
    assert gyoza.client.post("/runs", content=RUN, headers={"Content-Type": kind}).status_code == 201


def test_a_page_of_the_documentation_is_only_read(keyed: Cluster) -> None:
    """It is answered without a key, so that anyone could make the server write a traceback."""
    for path in ("/docs", "/openapi.json"):
        reply = keyed.client.post(path, headers={"X-API-Key": ""})
        assert reply.status_code == 405
        assert "GET" in reply.headers["Allow"]


def test_without_a_body_no_type_is_needed(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    reply = gyoza.client.delete(f"/workers/{worker.id}", params={"instance_id": worker.identity["instance_id"]})
    assert reply.is_success, reply.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:5555", "127.8.8.8", "[::1]", "[::1]:5555"])
def test_without_a_key_this_machine_is_served(gyoza: Cluster, host: str) -> None:
    reply = gyoza.client.post("/runs", content=RUN, headers=JSON | {"Host": host, "Origin": f"http://{host}"})
    assert reply.status_code == 201, reply.text


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example:5555", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "[::1"]
)
def test_without_a_key_a_name_that_leads_here_is_refused(gyoza: Cluster, host: str) -> None:
    """A page's own DNS server may turn it into 127.0.0.1."""
    assert refused(gyoza, JSON | {"Host": host}) == (421, "origin")
    assert gyoza.client.get("/health", headers={"Host": host}).status_code == 200
    assert gyoza.client.get("/runs", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://localhost", "http://localhost:8888", f"https://{HOST}"]
)
def test_without_a_key_another_page_is_refused(gyoza: Cluster, origin: str) -> None:
    assert refused(gyoza, JSON | {"Host": HOST, "Origin": origin}) == (421, "origin")
    assert gyoza.get("/runs") == []


def test_with_a_key_neither_counts(keyed: Cluster) -> None:
    headers = JSON | {"Host": "gpu-box:5555", "Origin": "http://portal.example"}
    assert keyed.client.post("/runs", content=RUN, headers=headers).status_code == 201


def test_a_refusal_names_the_file_of_a_key_that_the_server_made(keyed: Cluster) -> None:
    reply = keyed.client.get("/runs", headers={"X-API-Key": ""})
    assert reply.status_code == 401
    assert "/home/me/key" in reply.json()["detail"]


def test_what_holds_nothing_of_the_cluster_needs_no_key(keyed: Cluster) -> None:
    for path, status in {"/health": 200, "/docs": 200, "/openapi.json": 200, "/workers": 401}.items():
        assert keyed.client.get(path, headers={"X-API-Key": ""}).status_code == status
