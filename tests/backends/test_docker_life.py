"""An attempt's life on the real engine: made, fed, started, watched, stopped, read, removed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendError,
    Exit,
    Handle,
    ImageNotFound,
    Label,
    NotExecutable,
    Stream,
    VanishedHandle,
)
from gyoza_tui.backends.docker.ends import read_state
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.hardware import GpuInfo
from tests.backends.docker_ops import DockerOps, joined
from tests.images import NOBODY, PYTHON
from tests.waiting import until

pytestmark = pytest.mark.docker


@pytest.fixture(params=["bind", "volume"])
def ops(request: pytest.FixtureRequest, docker_engine: docker.APIClient, tmp_path: Path) -> Iterator[DockerOps]:
    """Both ways into a container."""
    ops = DockerOps(tmp_path, docker_io=request.param)
    yield ops
    ops.close()


@pytest.fixture
def plain(docker_engine: docker.APIClient, tmp_path: Path) -> Iterator[DockerOps]:
    ops = DockerOps(tmp_path)
    yield ops
    ops.close()


def test_the_owner_of_a_process_is_the_container_that_it_runs_in(
    plain: DockerOps, docker_engine: docker.APIClient
) -> None:
    other, handle = plain.started("sleep 60"), plain.started("sleep 60 & sleep 60")
    until(lambda: len(docker_engine.top(handle["id"])["Processes"]) >= 3, "its processes run")
    pids = [int(line[1]) for line in docker_engine.top(handle["id"])["Processes"]]
    assert {plain.backend.owner(pid, [other, handle]) for pid in pids} == {1}
    assert plain.backend.owner(os.getpid(), [other, handle]) is None


def test_inputs_go_in_and_outputs_come_out(ops: DockerOps) -> None:
    handle = ops.shell("cat /gyoza/input.json; echo warn >&2; echo '{\"a\": 1}' > /gyoza/output.json; id -u")
    ops.backend.put(handle, {"input.json": b"{}\n"})
    ops.backend.put(handle, {"input.json": b"[1]\n"})
    output = ops.backend.output(handle, None)
    ops.backend.start(handle)
    assert joined(output) == {Stream.STDOUT: b"[1]\n0\n", Stream.STDERR: b"warn\n"}
    end = ops.ended(handle)
    assert (end.code, end.signal, end.machine_fault, end.warning) == (0, None, None, None)
    assert end.started_at is not None
    assert abs(end.started_at - time.time()) < 60
    assert ops.backend.fetch(handle, "output.json", 100) == b'{"a": 1}\n'
    assert ops.backend.fetch(handle, "absent", 100) is None


def test_a_user_without_rights_can_write_the_output(ops: DockerOps) -> None:
    handle, _, end = ops.run("id -u; echo x > /gyoza/out", image=NOBODY)
    assert end.code == 0
    assert ops.backend.fetch(handle, "out", 10) == b"x\n"


def test_nothing_is_left_of_an_attempt(ops: DockerOps, docker_engine: docker.APIClient) -> None:
    handle, _, _ = ops.run("echo x > /gyoza/f")
    wanted = [f"{name}={value}" for name, value in ops.labels.items()]
    ops.backend.remove(handle)
    ops.backend.remove(handle)
    assert ops.backend.state(handle) is AttemptPhase.GONE
    assert ops.backend.find(ops.labels) == []
    assert not docker_engine.volumes(filters={"label": wanted})["Volumes"]
    with pytest.raises(VanishedHandle):
        ops.backend.start(handle)
    with pytest.raises(VanishedHandle):
        ops.backend.describe(handle)


def test_a_volume_whose_container_went_without_it_is_pruned(docker_engine: docker.APIClient, tmp_path: Path) -> None:
    ops = DockerOps(tmp_path, docker_io="volume")
    handle, _, _ = ops.run("true")
    assert ops.backend.prune(ops.labels) == 0
    docker_engine.remove_container(handle["id"], v=False)
    assert ops.backend.prune(ops.labels) == 1
    assert ops.backend.prune(ops.labels) == 0
    ops.close()


def test_every_call_may_be_repeated(plain: DockerOps) -> None:
    spec = plain.spec("sleep", "100")
    handle = plain.backend.create(spec)
    assert plain.backend.create(spec) == handle
    assert plain.backend.state(handle) is AttemptPhase.CREATED
    assert plain.backend.wait(handle, 0.2) is AttemptPhase.CREATED
    plain.backend.stop(handle, 0)
    plain.backend.start(handle)
    plain.backend.start(handle)
    assert plain.backend.create(spec) == handle
    assert plain.backend.wait(handle, 0.2) is AttemptPhase.RUNNING
    with pytest.raises(BackendError, match="running"):
        plain.backend.remove(handle)
    plain.backend.stop(handle, 1)
    plain.backend.stop(handle, 1)
    assert isinstance(plain.backend.state(handle), Exit)
    [found] = plain.backend.find({**plain.labels, Label.ATTEMPT: "1"})
    assert found.handle == handle
    assert found.labels[Label.LEASE] == "lease-1"


def test_a_name_held_by_another_attempt_is_not_taken_over(plain: DockerOps) -> None:
    spec = plain.spec("true")
    plain.backend.create(spec)
    for label in (Label.RUN, Label.ATTEMPT, Label.LEASE, Label.INSTANCE):
        with pytest.raises(BackendError, match="not this attempt"):
            plain.backend.create(replace(spec, labels={**spec.labels, label: "other"}))


def test_the_wait_begun_before_the_start_sees_the_end(plain: DockerOps) -> None:
    handle = plain.shell("exit 4")
    states: list[object] = []
    waiter = threading.Thread(target=lambda: states.append(plain.backend.wait(handle, 20)))
    waiter.start()
    plain.backend.start(handle)
    waiter.join(20)
    [end] = states
    assert isinstance(end, Exit)
    assert end.code == 4


@pytest.mark.parametrize(
    ("script", "code", "signal"),
    [("exit 7", 7, None), ("kill -TERM $$; sleep 9", 143, None), ("kill -KILL $$; sleep 9", 137, "SIGKILL")],
)
def test_the_ops_own_end_is_told_as_it_was(plain: DockerOps, script: str, code: int, signal: str | None) -> None:
    _, _, end = plain.run(script)
    assert (end.code, end.signal, end.oom, end.machine_fault) == (code, signal, False, None)
    assert not end.from_outside


def test_signals_are_found_next_to_the_end_and_beyond_it_are_not(
    plain: DockerOps, docker_engine: docker.APIClient
) -> None:
    """The engine notes a signal up to some milliseconds after the end that it caused, and a start after a short op."""
    engine = Engine()
    for _ in range(8):
        handle = plain.started("exec sleep 100")
        docker_engine.kill(handle["id"], signal="KILL")
        docker_engine.wait(handle["id"])
        end = read_state(docker_engine.inspect_container(handle["id"])["State"])
        assert isinstance(end, Exit)
        assert end.started_at is not None
        assert end.finished_at is not None
        assert engine.signalled(handle["id"], end.started_at, end.finished_at)
    handle, _, own = plain.run("exit 143")
    assert own.finished_at is not None
    assert not engine.signalled(handle["id"], own.finished_at + 0.01, own.finished_at)
    with pytest.raises(BackendError):
        engine.signalled(handle["id"], since=float("nan"), until=float("nan"))


def test_a_stop_reaches_what_ignores_sigterm(plain: DockerOps) -> None:
    handle = plain.shell("trap '' TERM; echo deaf; sleep 1000 & while :; do sleep 0.1; done")
    output = plain.backend.output(handle, None)
    plain.backend.start(handle)
    assert next(iter(output)).data == b"deaf\n"
    output.close()
    began = time.monotonic()
    plain.backend.stop(handle, 1)
    assert time.monotonic() - began < 20
    end = plain.ended(handle)
    assert (end.code, end.signal, end.oom) == (137, "SIGKILL", False)


def test_the_op_killed_for_memory(plain: DockerOps) -> None:
    eat = ("python3", "-c", "x = bytearray(200 << 20); print(len(x))")
    handle = plain.backend.create(plain.spec(*eat, image=PYTHON, constraints=Constraints(ram_mb=50)))
    plain.backend.start(handle)
    end = plain.ended(handle)
    assert (end.code, end.oom, end.signal) == (137, True, "SIGKILL")


def test_a_child_killed_for_memory_is_only_a_warning(plain: DockerOps) -> None:
    script = "python3 -c 'x = bytearray(200 << 20)'; echo survived $?"
    spec = plain.spec("sh", "-c", script, image=PYTHON, constraints=Constraints(ram_mb=50))
    handle = plain.backend.create(spec)
    plain.backend.start(handle)
    end = plain.ended(handle)
    assert (end.code, end.oom) == (0, False)
    assert "memory" in str(end.warning)


def test_what_cannot_be_started_is_told_from_what_failed(plain: DockerOps) -> None:
    for command in (("nope",), ("/etc/passwd",), ("/tmp",)):
        handle = plain.backend.create(plain.spec(*command))
        plain.backend.start(handle)
        assert command[0] in str(plain.ended(handle).not_executable)
    _, _, end = plain.run("nope")
    assert (end.code, end.not_executable) == (127, None)
    with pytest.raises(ImageNotFound, match="gyoza-test/none"):
        plain.backend.create(plain.spec("true", image="gyoza-test/none:1"))


def test_what_the_engine_finds_wrong_in_a_request_is_not_the_machines_fault(plain: DockerOps) -> None:
    with pytest.raises(NotExecutable, match="emory limit"):
        plain.backend.create(plain.spec("true", constraints=Constraints(ram_mb=1)))


def test_an_image_without_a_command_is_not_executable(plain: DockerOps, docker_engine: docker.APIClient) -> None:
    docker_engine.import_image_from_data(b"\0" * 10240, repository="gyoza-test/empty", tag="1")
    try:
        with pytest.raises(NotExecutable):
            plain.backend.create(plain.spec(image="gyoza-test/empty:1"))
    finally:
        docker_engine.remove_image("gyoza-test/empty:1")


def test_walls_and_limits_as_the_engine_has_them(plain: DockerOps, docker_engine: docker.APIClient) -> None:
    handle = plain.backend.create(
        plain.spec("true", constraints=Constraints(cpu=0.7, ram_mb=64), env={"TOKEN": "s3cret"})
    )
    host = docker_engine.inspect_container(handle["id"])["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (700_000_000, 64 << 20, 64 << 20)
    assert (host["PidsLimit"], host["ShmSize"], host["OomScoreAdj"]) == (4096, 1024 << 20, 500)
    assert (host["CapDrop"], host["CapAdd"], host["SecurityOpt"]) == (["ALL"], None, ["no-new-privileges"])
    assert (host["Init"], host["AutoRemove"], host["NetworkMode"]) == (True, False, "none")
    assert host["LogConfig"]["Type"] == "local"
    assert int(host["LogConfig"]["Config"]["max-size"]) * int(host["LogConfig"]["Config"]["max-file"]) == 512 << 20
    description = plain.backend.describe(handle)
    assert "s3cret" not in str(description)
    assert "TOKEN=***" in description["Config"]["Env"]


def test_only_allowed_volumes(docker_engine: docker.APIClient, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (data / "out").symlink_to("/etc")
    (data / "sub" / "file").write_text("hello")
    ops = DockerOps(tmp_path, allow_volumes=(data, Path("/run"), Path("/var/run"), tmp_path / "state"))
    refuses = ops.backend.refuses
    assert refuses("x", {str(data / "sub"): "/data"}) is None
    for volumes, words in [
        ({"/etc": "/data"}, "not under a path"),
        ({str(data / "out"): "/data"}, "not under a path"),
        ({str(data / "sub" / ".." / ".."): "/data"}, "not under a path"),
        ({"relative": "/data"}, "begins with"),
        ({str(data): "/gyoza/x"}, "outside /gyoza"),
        ({str(data): "/"}, "outside /gyoza"),
        ({str(data): "data"}, "outside /gyoza"),
        ({"/run/docker.sock": "/data"}, "never shared"),
        ({"/var/run": "/data"}, "never shared"),
        ({str(tmp_path / "state"): "/data"}, "never shared"),
    ]:
        assert words in str(refuses("x", volumes)), volumes
    with pytest.raises(BackendError, match="not under a path"):
        ops.shell("true", volumes={"/etc": "/data"})
    _, got, _ = ops.run("cat /data/file", volumes={str(data / "sub"): "/data"})
    assert got[Stream.STDOUT] == b"hello"
    ops.close()


def test_the_one_gpu_is_let_in_by_its_uuid_else_by_its_index(plain: DockerOps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shape of the request; a machine without GPUs starts none of it."""
    asked: list[dict[str, Any]] = []

    def capture(client: docker.APIClient, config: dict[str, Any], *names: object) -> dict[str, Any]:
        asked.append(config)
        return {"Id": "made"}

    monkeypatch.setattr(docker.APIClient, "create_container_from_config", capture)
    env = {"NVIDIA_VISIBLE_DEVICES": "all", "CUDA_VISIBLE_DEVICES": "0,1"}
    for gpu in (GpuInfo(3, "GPU-abc", "A", 1), GpuInfo(3, None, "A", 1), None):
        plain.backend.create(plain.spec("true", gpu=gpu, env=env))
    by_uuid, by_index, none = asked
    assert by_uuid["HostConfig"]["DeviceRequests"] == [
        {"Driver": "", "Count": 0, "DeviceIDs": ["GPU-abc"], "Capabilities": [["gpu"]], "Options": {}}
    ]
    assert sorted(by_uuid["Env"]) == ["CUDA_VISIBLE_DEVICES=GPU-abc", "NVIDIA_VISIBLE_DEVICES=GPU-abc"]
    assert by_index["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["3"]
    assert sorted(by_index["Env"]) == ["CUDA_VISIBLE_DEVICES=0", "NVIDIA_VISIBLE_DEVICES=3"]
    assert not none["HostConfig"].get("DeviceRequests")
    assert "NVIDIA_VISIBLE_DEVICES=void" in none["Env"]


def test_a_worker_that_is_not_root_reads_and_leaves_nothing(docker_engine: docker.APIClient, tmp_path: Path) -> None:
    """In the group docker, as a worker without root is; what the container wrote as root goes with its volume."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    group = os.stat("/var/run/docker.sock").st_gid
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        words = "the child raised"
        try:
            os.setgroups([group])
            os.setgid(65534)
            os.setuid(65534)
            os.environ["HOME"] = str(tmp_path)  # the configuration of Docker's client is in it
            words = _as_somebody(tmp_path)
        finally:
            os.write(writer, words.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "volume b'root\\n' left 0"
    os.waitpid(child, 0)


def _as_somebody(root: Path) -> str:
    ops = DockerOps(root)
    handle, _, end = ops.run("mkdir -m 700 /gyoza/closed; echo root > /gyoza/out")
    assert end.code == 0
    fetched = ops.backend.fetch(handle, "out", 100)
    ops.backend.remove(handle)
    left = ops.backend.prune(ops.labels) + len(os.listdir(root / handle["run_dir"]))
    ops.close()
    return f"{handle['io']} {fetched!r} left {left}"


def test_usage_of_a_running_container(plain: DockerOps) -> None:
    handle = plain.started("while :; do :; done")
    plain.backend.usage(handle)
    until(lambda: (plain.backend.usage(handle).cpu_percent or 0) > 5, "a later reading knows the processor")
    usage = plain.backend.usage(handle)
    assert usage.processes == 2
    assert usage.memory_mb
    plain.backend.stop(handle, 0)
    assert plain.backend.usage(handle).processes is None
    plain.backend.remove(handle)
    assert plain.backend.usage(handle).memory_mb is None


def test_closing_wakes_a_blocked_reader(plain: DockerOps) -> None:
    handle = plain.shell("sleep 100")
    live = plain.backend.output(handle, None)
    plain.backend.start(handle)
    for output in (live, plain.backend.output(handle, {})):
        reader = threading.Thread(target=lambda output=output: list(output))
        reader.start()
        reader.join(0.5)
        assert reader.is_alive()
        output.close()
        reader.join(20)
        assert not reader.is_alive()


def test_no_socket_stays_open(plain: DockerOps) -> None:
    def once() -> None:
        handle, _, _ = plain.run("echo x")
        list(plain.backend.output(handle, {}))
        plain.backend.fetch(handle, "x", 10)
        plain.backend.remove(handle)

    once()
    before, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(5):
        once()
    assert len(os.listdir("/proc/self/fd")) <= before
    assert threading.active_count() <= threads


def test_the_shell_is_one_of_that_container(plain: DockerOps) -> None:
    handle = plain.shell("true")
    argv = plain.backend.shell(handle)
    assert argv[0] == "docker"
    assert handle["id"] in argv


def test_the_engines_disk_is_known_once_it_was_looked_at(ops: DockerOps) -> None:
    assert ops.backend.disks() == ()
    ops.backend.check()
    assert [disk.is_dir() for disk in ops.backend.disks()] == [True]


_WRITES = "dd if=/dev/zero of=/layer bs=1M count=3; dd if=/dev/zero of=/gyoza/file bs=1M count=2; echo up; sleep 600"


def _written(ops: DockerOps, handle: Handle) -> float:
    (place,) = ops.backend.written(handle)
    assert place.is_dir()
    return ops.backend.written(handle)[place] / 2**20


@pytest.mark.parametrize("root", [True, False])
def test_what_a_container_writes_is_counted(ops: DockerOps, root: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the directories, and by the engine where they are closed to this process. A bind mount is the worker's own."""
    ops.backend.check()
    handle = ops.started(_WRITES)
    if not root:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
    expected = 3 if handle["io"] == "bind" else 5
    until(lambda: expected <= _written(ops, handle) < expected + 1, "all is counted")
    ops.backend.stop(handle, 0)
    ops.backend.remove(handle)
    with pytest.raises(VanishedHandle):
        ops.backend.written(handle)


def test_without_a_grace_nothing_is_asked_first(plain: DockerOps) -> None:
    """An op that ends well by SIGTERM would not be taken for one that was stopped."""
    handle = plain.started("trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done")
    plain.backend.stop(handle, 0)
    end = plain.ended(handle)
    assert (end.code, end.signal) == (137, "SIGKILL")
