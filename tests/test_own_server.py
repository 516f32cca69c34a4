"""The key that a server makes, and the announcement by which its user's clients find it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gyoza_tui import own_server
from gyoza_tui.models.faults import SettingsError
from gyoza_tui.own_server import Announcement, OwnServer, files_of_serve, files_of_worker, made_key, own_server_at

URL = "http://127.0.0.1:5555"


@contextmanager
def announced(state_dir: Path, url: str = URL) -> Iterator[Path]:
    files = files_of_serve(state_dir)
    made_key(files.key)
    announcement = Announcement(files, url)
    yield files.announcement(5555)
    announcement.withdraw()


def found(state_dir: Path, url: str = URL) -> OwnServer | None:
    return own_server_at(url, state_dir, state_dir / "host" / "desk")


def test_a_key_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    path = files_of_serve(tmp_path).key
    key = made_key(path)
    assert len(key) >= 40
    assert made_key(path) == key
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert os.listdir(path.parent) == ["key"]


def test_a_key_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    path = files_of_serve(tmp_path).key
    key = made_key(path)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    assert made_key(path) == key
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"two\nlines", b"x" * 20_000])
def test_a_damaged_key_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = files_of_serve(tmp_path).key
    made_key(path)
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="remove it"):
        made_key(path)
    assert path.read_bytes() == content


def test_a_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    path = files_of_serve(tmp_path).key
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="cannot be used"):
        made_key(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_server_is_found_while_it_is_announced(tmp_path: Path) -> None:
    assert found(tmp_path) is None
    with announced(tmp_path) as file:
        assert file.stat().st_mode & 0o777 == 0o600
        key = made_key(files_of_serve(tmp_path).key)
        assert found(tmp_path) == OwnServer(URL, key, files_of_serve(tmp_path).key, file)
        assert key not in repr(found(tmp_path))
        assert key not in file.read_text()
    assert found(tmp_path) is None
    assert not file.exists()


def test_what_a_killed_server_left_is_not_believed(tmp_path: Path) -> None:
    with announced(tmp_path) as file:
        left = file.read_bytes()
    file.write_bytes(left)
    file.chmod(0o600)
    assert found(tmp_path) is None
    with announced(tmp_path):
        assert found(tmp_path) is not None


def test_localhost_means_the_address_that_the_server_has(tmp_path: Path) -> None:
    """Another user may have the same port of the other loopback address."""
    for url in ("http://127.0.0.1:5555", "http://[::1]:5555"):
        with announced(tmp_path, url):
            own = found(tmp_path, "http://localhost:5555")
            assert own is not None
            assert own.url == url


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2:5555", "http://[::1]:5555", "http://gpu-box:5555", "https://127.0.0.1:5555", "http://x"]
)
def test_another_address_is_another_server(tmp_path: Path, url: str) -> None:
    with announced(tmp_path):
        assert found(tmp_path, url) is None


def test_the_server_of_the_worker_comes_first(tmp_path: Path) -> None:
    worker_dir = tmp_path / "host" / "desk"
    files = files_of_worker(worker_dir)
    made_key(files.key)
    with announced(tmp_path):
        announcement = Announcement(files, URL)
        own = found(tmp_path)
        assert own is not None
        assert own.announced_in == worker_dir / "server.json"
        announcement.withdraw()


def test_another_server_does_not_take_the_announcement(tmp_path: Path) -> None:
    with announced(tmp_path) as file:
        before = file.read_text()
        with pytest.raises(SettingsError, match="another server announces itself"):
            Announcement(files_of_serve(tmp_path), "http://127.0.0.2:5555")
        assert file.read_text() == before


def test_a_server_of_another_host_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home may be shared: its loopback addresses are not."""
    with announced(tmp_path):
        monkeypatch.setattr("socket.gethostname", lambda: "another")
        assert found(tmp_path) is None


def test_an_announcement_names_a_loopback_address(tmp_path: Path) -> None:
    with announced(tmp_path, "http://10.0.0.1:5555") as file:
        assert own_server.own_server(file) is None


@pytest.mark.parametrize("content", [b"", b"[]", b'{"url": 3}', b"\xff\xfe", b"[" * 10_000, b"x" * 20_000])
def test_a_damaged_announcement_is_refused(tmp_path: Path, content: bytes) -> None:
    with announced(tmp_path) as file:
        file.write_bytes(content)
        with pytest.raises(SettingsError, match="remove it"):
            found(tmp_path)


def test_files_that_others_could_have_written_are_refused(tmp_path: Path) -> None:
    with announced(tmp_path) as file:
        for path in (file, files_of_serve(tmp_path).key):
            path.chmod(0o620)
            with pytest.raises(SettingsError, match=f"chmod 600 {path}"):
                found(tmp_path)
            path.chmod(0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_files_of_another_user_are_refused(tmp_path: Path) -> None:
    with announced(tmp_path) as file:
        for path in (file, files_of_serve(tmp_path).key):
            os.chown(path, 12345, -1)
            with pytest.raises(SettingsError, match="not a file of yours"):
                found(tmp_path)
            os.chown(path, 0, -1)


def test_no_file_that_waits_for_a_writer_is_opened(tmp_path: Path) -> None:
    file = files_of_serve(tmp_path).announcement(5555)
    file.parent.mkdir()
    os.mkfifo(file, 0o600)
    assert found(tmp_path) is None


def test_an_announcement_holds_no_key(tmp_path: Path) -> None:
    with announced(tmp_path) as file:
        assert set(json.loads(file.read_text())) == {"url", "key_file", "host"}
