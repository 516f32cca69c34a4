"""TLS as a user meets it: the verbs, the settings, `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.client import tls
from tests.certificates import certificate, tls_server
from tests.cli.conftest import Verb


def test_a_certificate_that_is_not_trusted(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = certificate(tmp_path, "box")
    with tls_server(own) as server:
        said = verb("runs", "--server", server.url)
        assert said.code == 3
        assert f"the server {server.url} cannot be trusted: its certificate is self-signed" in said.err
        checked = verb("check", "--server", server.url).out
        assert "GYOZA_CA_FILE=path" in checked
        monkeypatch.setenv("GYOZA_CA_FILE", str(own.file))
        said = verb("runs", "--server", server.url)
        assert (said.code, said.err) == (0, "there is no run\n")


@pytest.mark.parametrize("content", [None, "", "not a certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_file_without_certificates_is_refused(
    verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv("GYOZA_CA_FILE", "ca.pem")
    said = verb("runs")
    assert said.code == 2
    assert f"GYOZA_CA_FILE: {tmp_path / 'ca.pem'} " in said.err


def test_a_key_that_goes_unencrypted_is_warned_of(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "the key goes unencrypted to gpu-box.invalid"
    there = ("--server", "http://gpu-box.invalid:5555")
    assert words not in verb("runs", *there).err, "without a key"
    monkeypatch.setenv("GYOZA_API_KEY", "k")
    assert words in verb("runs", *there).err
    assert f"TLS          {words}" in verb("check", *there).out
    for url in ("http://127.0.0.1:1", "https://gpu-box.invalid:5555"):
        assert "unencrypted" not in verb("runs", "--server", url).err


def test_certificates_are_loaded_for_tls_alone(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_path: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(tls, "trusted", never)
    assert verb("runs", "--server", "http://127.0.0.1:1").code == 3
