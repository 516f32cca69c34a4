"""What a run gets of this machine's directories, while a neighbour leads them elsewhere."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import docker
import pytest

from gyoza_tui.backends import mount_table
from gyoza_tui.backends.base import BackendError, BackendOptions, Handle, NotExecutable, Spec, Stream
from gyoza_tui.backends.docker import staging
from gyoza_tui.backends.docker.allow_list import AllowList
from gyoza_tui.backends.docker.creation import Volume
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.volumes import VolumeChanged, Volumes
from tests.backends.docker_ops import DockerOps, joined
from tests.backends.swapping import SECRET, Swapped

pytestmark = pytest.mark.docker

_ROUNDS = [6, pytest.param(60, marks=pytest.mark.long)]
_TRIES_PER_ROUND = 40


@pytest.fixture
def swapped(tmp_path: Path) -> Swapped:
    return Swapped(tmp_path)


@pytest.fixture
def ops(docker_engine: docker.APIClient, tmp_path: Path, swapped: Swapped) -> Iterator[DockerOps]:
    ops = DockerOps(tmp_path, allow_volumes=(swapped.allowed,))
    yield ops
    ops.close()
    left = _staged(ops)
    for folder in staging.folders(staging.STAGING_ROOT / ops.instance):
        staging.clear(folder)
    assert left == []


@pytest.fixture
def unstaged(monkeypatch: pytest.MonkeyPatch, ops: DockerOps) -> DockerOps:
    """As at a worker that is not root."""
    monkeypatch.setattr(staging, "may_mount", lambda: False)
    return ops


def _staged(ops: DockerOps) -> list[str]:
    """Of the backend's own instance: directories, and mounts however hidden."""
    root = str(staging.STAGING_ROOT / ops.instance)
    return [mount.at for mount in mount_table.mounts() if mount.at.startswith(root)] + [root] * os.path.exists(root)


def _made(ops: DockerOps, script: str, host: Path) -> Handle:
    """Tried again while the path leads where the run may not mount."""
    refused: BackendError | None = None
    for _ in range(_TRIES_PER_ROUND):
        try:
            return ops.shell(script, volumes={str(host): "/data"})
        except BackendError as error:
            refused = error
    raise AssertionError("the path never led inside") from refused


def _refusal(call: Callable[[], None]) -> VolumeChanged | None:
    try:
        call()
    except VolumeChanged as error:
        return error
    return None


@pytest.mark.parametrize("rounds", _ROUNDS)
def test_a_staged_volume_is_never_led_outside(ops: DockerOps, swapped: Swapped, rounds: int) -> None:
    """Each op that runs writes a file; none of them may be outside, and each is where its run was allowed to write."""
    ran = 0
    with swapped.swapping(every_s=0.02):
        while ran < rounds:
            handle = _made(ops, f"touch /data/{ran}", swapped.path)
            if (refused := _refusal(partial(ops.backend.start, handle))) is not None:
                assert "replaced before the op could start" in str(refused)
            else:
                ops.backend.verify(handle)
                assert ops.ended(handle).code == 0
                ran += 1
            ops.backend.remove(handle)
    assert swapped.written_outside == []
    inside = swapped.path if not swapped.path.is_symlink() else swapped.path.with_name("link")
    assert sorted(os.listdir(inside)) == sorted(map(str, range(rounds)))


@pytest.mark.parametrize("rounds", _ROUNDS)
def test_what_was_led_outside_is_killed_where_nothing_can_be_staged(
    unstaged: DockerOps, swapped: Swapped, rounds: int
) -> None:
    seen: Counter[tuple[bool, bool]] = Counter()
    ops = unstaged
    with swapped.swapping():
        while sum(seen.values()) < rounds or not any(outside for outside, _ in seen):
            handle = _made(ops, "ls /data; sleep 60", swapped.path)
            output = ops.backend.output(handle, None)
            ops.backend.start(handle)
            if (killed := _refusal(partial(ops.backend.verify, handle))) is not None:
                assert str(swapped.path) in str(killed)
            else:
                ops.backend.stop(handle, 0)
            outside = SECRET.encode() in joined(output)[Stream.STDOUT]
            seen[outside, killed is not None] += 1
            ops.backend.remove(handle)
    assert seen[True, False] == 0, f"an op saw what is outside and went on: {seen}"
    assert seen[True, True] > 0
    assert seen[False, True] <= rounds // 5, f"ops with what they asked for were killed: {seen}"


def test_what_is_staged_is_the_directory_itself(ops: DockerOps, swapped: Swapped) -> None:
    """With what is mounted below it, until the container is removed; a file as well as a directory."""
    file = swapped.allowed / "file"
    file.write_text("one file")
    volumes = {str(swapped.path): "/data", str(file): "/file"}
    handle, got, _ = ops.run("cat /file; echo two > /data/two; echo three >> /file", volumes=volumes)
    assert got[Stream.STDOUT] == b"one file"
    assert (swapped.path / "two").read_text() == "two\n"
    assert file.read_text() == "one filethree\n"
    assert len([at for at in _staged(ops) if at != str(staging.STAGING_ROOT / ops.instance)]) == 2
    ops.backend.remove(handle)
    assert _staged(ops) == []
    assert (swapped.path / "two").exists()


def test_a_container_that_is_restarted_has_its_volume_again(
    ops: DockerOps, swapped: Swapped, docker_engine: docker.APIClient
) -> None:
    handle = ops.started("echo x >> /data/starts; sleep 60", volumes={str(swapped.path): "/data"})
    ops.backend.verify(handle)
    docker_engine.restart(handle["id"], timeout=0)
    ops.backend.verify(handle)
    assert (swapped.path / "starts").read_text() == "x\nx\n"


def test_what_a_killed_worker_has_staged_is_swept(
    ops: DockerOps, swapped: Swapped, docker_engine: docker.APIClient
) -> None:
    """Its container is gone without `remove`; that of another attempt keeps what it has."""
    (swapped.path / "kept").touch()
    lost, kept = (ops.started("sleep 60", volumes={str(swapped.path): "/data"}) for _ in range(2))
    docker_engine.remove_container(lost["id"], force=True, v=True)
    ops.backend.prune(ops.labels)
    left = [at for at in _staged(ops) if lost["name"] in at or kept["name"] in at]
    assert left == [kept["volumes"][0][0]]
    assert (swapped.path / "kept").exists()


def test_a_start_after_a_reboot_stages_again(ops: DockerOps, swapped: Swapped) -> None:
    """The container is there, and what was below /run is not."""
    (swapped.path / "there").touch()
    handle = ops.shell("ls /data", volumes={str(swapped.path): "/data"})
    staging.clear(staging.STAGING_ROOT / ops.instance / handle["name"])
    output = ops.backend.output(handle, None)
    ops.backend.start(handle)
    ops.backend.verify(handle)
    assert joined(output)[Stream.STDOUT] == b"there\n"


def test_nothing_is_staged_for_a_container_that_was_not_made(ops: DockerOps, swapped: Swapped) -> None:
    with pytest.raises(BackendError):
        ops.backend.create(ops.spec("true", image="gyoza-test/none:1", volumes={str(swapped.path): "/data"}))
    assert _staged(ops) == []


def test_nothing_is_cleared_while_a_place_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one to be cleared takes the directory of all with it."""
    cleared: list[Path] = []
    monkeypatch.setattr(staging, "clear", cleared.append)
    monkeypatch.setattr(staging, "may_mount", lambda: False)
    (tmp_path / "data").mkdir()
    options = BackendOptions("w1", "i1", tmp_path / "state", allow_volumes=(tmp_path / "data",))
    volumes = Volumes(Engine({}), options)
    ended = Volume(str(staging.STAGING_ROOT / "i1" / "ended" / "0"), "/data", "/data")
    with volumes.of(Spec("made", "op", tmp_path, volumes={str(tmp_path / "data"): "/data"})):
        clearing = threading.Thread(target=volumes.release, args=([ended],), daemon=True)
        clearing.start()
        clearing.join(0.3)
        assert cleared == []
    clearing.join(20)
    assert cleared == [staging.STAGING_ROOT / "i1" / "ended"]


def test_a_volume_that_is_not_there(ops: DockerOps, swapped: Swapped) -> None:
    with pytest.raises(NotExecutable, match="sees no such path"):
        ops.shell("true", volumes={str(swapped.allowed / "nowhere"): "/data"})


def test_a_root_that_another_roots_runs_can_replace_is_none(tmp_path: Path) -> None:
    """A run that may write in `data` has put a link to /etc in the place of a directory that is allowed as well."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "sets").symlink_to("/etc")
    (tmp_path / "by_link").symlink_to(data / "sets")
    for other in (data / "sets", tmp_path / "by_link"):
        allowed = AllowList((data, other), ())
        with pytest.raises(BackendError, match="not under a path"):
            allowed.real(str(other / "ssl"), "/data")
    (data / "sets").unlink()
    (data / "sets").mkdir()
    assert AllowList((data, data / "sets"), ()).real(str(data / "sets"), "/data") == data / "sets"
    assert AllowList((tmp_path / "by_link",), ()).real(str(tmp_path / "by_link"), "/data") == data / "sets"


def test_a_directory_that_a_run_has_closed_to_the_worker_hides_no_link(tmp_path: Path) -> None:
    """The engine would follow it: it is root."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "link").symlink_to("/etc")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        try:
            AllowList((tmp_path,), ()).real(str(hidden / "link"), "/data")
        except BackendError as error:
            os._exit(0 if "Permission denied" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
