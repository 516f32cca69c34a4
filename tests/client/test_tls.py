"""Which servers are trusted, and what is said of the others."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gyoza_tui.client import GyozaClient, tls
from gyoza_tui.client.answers import trouble, words
from gyoza_tui.models.server_trouble import Trouble
from tests.certificates import Certificate, certificate, tls_server
from tests.scripted_server import ScriptedServer


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("ca"), "ca", of="ca")


@pytest.fixture(autouse=True)
def _no_store_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    tls.trusted.cache_clear()
    yield
    tls.trusted.cache_clear()


def refused(server: ScriptedServer, ca_file: Path | None = None) -> str:
    with GyozaClient(server.url, ca_file=ca_file) as client, pytest.raises(httpx.ConnectError) as caught:
        client.list_runs()
    assert trouble(caught.value) is Trouble.CERTIFICATE
    return words(caught.value)


def test_what_the_system_trusts_is_trusted(tmp_path: Path, ca: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server(certificate(tmp_path, "box", issuer=ca)) as server:
        assert "an issuer that this machine does not know" in refused(server)
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
        tls.trusted.cache_clear()
        with GyozaClient(server.url) as client:
            assert client.list_runs().items == []


def test_what_is_named_is_trusted_too(tmp_path: Path, ca: Certificate) -> None:
    with (
        tls_server(certificate(tmp_path, "box", issuer=ca)) as server,
        GyozaClient(server.url, ca_file=ca.file) as client,
    ):
        assert client.list_runs().items == []
    assert tls.trusted(ca.file).cert_store_stats()["x509_ca"] > tls.trusted(None).cert_store_stats()["x509_ca"] > 0


def test_what_is_wrong_with_a_certificate_is_named(tmp_path: Path, ca: Certificate) -> None:
    own = certificate(tmp_path, "self-signed")
    with tls_server(own) as server:
        assert "self-signed: set GYOZA_CA_FILE" in refused(server)
        with GyozaClient(server.url, ca_file=own.file) as client:
            assert client.list_runs().items == []
    with tls_server(certificate(tmp_path, "other", of="other.example", issuer=ca)) as server:
        assert "another host name" in refused(server, ca.file)
    with tls_server(certificate(tmp_path, "old", issuer=ca, days=-1)) as server:
        assert "expired" in refused(server, ca.file)


def test_a_server_without_tls() -> None:
    with ScriptedServer() as server:
        server.url = server.url.replace("http:", "https:")
        assert "does not speak TLS: name it by http://" in refused(server)


def test_where_the_system_has_none_those_of_certifi_are_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    nowhere = ssl.get_default_verify_paths()._replace(capath=str(tmp_path))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    assert tls.trusted(None).cert_store_stats()["x509_ca"] > 50
    tls.trusted.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    assert tls.trusted(None).cert_store_stats()["x509_ca"] == 0, "who names a store wants no other"
    tls.trusted.cache_clear()
    monkeypatch.delenv("SSL_CERT_FILE")
    (tmp_path / "0123abcd.0").touch()
    assert tls.trusted(None).cert_store_stats()["x509_ca"] == 0, "a directory is read when it is asked for"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_not_used_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def said(url: str) -> str:
        return words(httpx.ConnectError("[Errno 113] No route to host", request=httpx.Request("GET", url)))

    assert "prox" not in said("https://gpu-box:5555")
    monkeypatch.setenv(variable, "http://proxy:3128")
    assert said("https://gpu-box:5555").endswith(f"({variable} is set, but proxies are not used)")
    assert "prox" not in said("https://localhost:5555")
    assert ("prox" in said("http://gpu-box:5555")) == (variable == "ALL_PROXY")
