"""Addresses to listen at, as a person writes them."""

from __future__ import annotations

import pytest

from gyoza_tui.models.listen_address import ListenAddress


@pytest.mark.parametrize(
    ("typed", "host", "port", "shown"),
    [
        ("9100", "127.0.0.1", 9100, "127.0.0.1:9100"),
        (" 0 ", "127.0.0.1", 0, "127.0.0.1:0"),
        ("0.0.0.0:9100", "0.0.0.0", 9100, "0.0.0.0:9100"),
        ("[::1]:9100", "::1", 9100, "[::1]:9100"),
        ("gpu-box:65535", "gpu-box", 65535, "gpu-box:65535"),
    ],
)
def test_what_is_read(typed: str, host: str, port: int, shown: str) -> None:
    address = ListenAddress.parse(typed)
    assert address == (host, port)
    assert str(address) == shown


@pytest.mark.parametrize(
    "typed", ["", "http", "65536", "-1", ":9100", "::1:9100", "[]:9100", "[::1]", "[h]:1", "٣", "9" * 5000, "a:b"]
)
def test_what_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="is no port: write 9100"):
        ListenAddress.parse(typed)
