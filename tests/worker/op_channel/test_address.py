"""The socket in the op's directory: every user reaches it, and no link of the op's is followed."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from gyoza_tui.worker.op_channel.address import NAME, listen


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Where the socket is made: in a directory of the worker's, with a path longer than a socket's may be."""
    ours = tmp_path / ("x" * 120)
    ours.mkdir(mode=0o700)
    return ours / "attempt.gyoza-sock"


@pytest.fixture
def run_dir(made: Path) -> Path:
    path = made.parent / "attempt"
    path.mkdir(mode=0o777)
    return path


def test_it_is_open_to_every_user_whatever_the_umask_is(made: Path, run_dir: Path) -> None:
    with listen(run_dir, made):
        mode = (run_dir / NAME).lstat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o666)
        assert not made.exists(), "it was moved"


def test_a_link_at_its_name_is_replaced_and_not_followed(made: Path, run_dir: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    precious.chmod(0o600)
    (run_dir / NAME).symlink_to(precious)
    with listen(run_dir, made):
        assert (run_dir / NAME).is_socket()
    assert (precious.read_text(), stat.S_IMODE(precious.stat().st_mode)) == ("mine", 0o600)


def test_a_link_to_a_directory_at_its_name_is_replaced_too(made: Path, run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (run_dir / NAME).symlink_to(tmp_path / "elsewhere")
    with listen(run_dir, made):
        assert not list((tmp_path / "elsewhere").iterdir())
        assert (run_dir / NAME).is_socket()


def test_a_link_in_the_place_of_its_directory_gets_no_socket(made: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (made.parent / "attempt").symlink_to(elsewhere)
    with pytest.raises(OSError):
        listen(made.parent / "attempt", made)
    assert not list(elsewhere.iterdir())
    assert not made.exists()


def test_the_mode_is_changed_where_no_op_can_reach_it(
    made: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[str] = []
    chmod = os.chmod

    def noted(path: str, mode: int) -> None:
        changed.append(os.path.realpath(path))
        chmod(path, mode)

    monkeypatch.setattr(os, "chmod", noted)
    with listen(run_dir, made):
        assert changed == [str(made)]


def test_what_a_former_start_left_is_replaced(made: Path, run_dir: Path) -> None:
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.write_text("left by a start that was killed between the two")
    with listen(run_dir, made):
        pass
    with left, listen(run_dir, made):
        assert (run_dir / NAME).is_socket()


def test_an_op_that_made_a_directory_of_its_name_has_none(made: Path, run_dir: Path) -> None:
    (run_dir / NAME).mkdir()
    with pytest.raises(OSError):
        listen(run_dir, made)
    assert not made.exists()
