"""Local ops from create to remove: exits, environment, output, files, limits, and what is left behind: nothing."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendBroken,
    BackendError,
    BackendOptions,
    BackendUnavailable,
    Chunk,
    DiskFull,
    Handle,
    ImageNotFound,
    Label,
    NotExecutable,
    Stream,
    VanishedHandle,
)
from gyoza_tui.backends.local.backend import LocalBackend
from gyoza_tui.backends.local.cgroups import Cgroups
from gyoza_tui.backends.local.creation import Creation
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.worker.op_output.log_spool import LogSpool
from tests.backends.local_ops import Bench, python
from tests.waiting import until

OPS = {
    "env": python("import os, json; print(json.dumps(dict(os.environ)))"),
    "where": ["/bin/sh", "-c", "pwd; echo $(ls /proc/self/fd); cat /proc/self/status | grep Sig"],
    "exit": python("import os, sys; sys.exit(int(os.environ['CODE']))"),
    "signal": python("import os; os.kill(os.getpid(), int(os.environ['CODE']))"),
    "missing": ["/no/such/program", "x"],
    "notexec": ["{run_dir}", "x"],
    "unfound": ["no-such-program-anywhere"],
    "hold": python("import time; print('up', flush=True); time.sleep(600)"),
    "forge": python(
        "import os, glob, sys\n"
        "print(sorted(os.listdir('.')))\n"
        "open('end.json', 'w').write('{\"code\": 0}'); open('started', 'w').write('x')\n"
        "sys.exit(3)"
    ),
    "big": python(
        "import os\n"
        "for i in range(600):\n"
        "    os.write(1, b''.join(b'%08d line of stdout\\n' % (i * 2400 + k) for k in range(2400)))\n"
        "    os.write(2, b'e' * 999 + b'\\n')\n"
    ),
    "memory": python("a = bytearray(400 << 20); print(len(a))"),
    "memory_child": python(
        "import os\n"
        "if os.fork() == 0:\n"
        "    open('/proc/self/oom_score_adj', 'w').write('1000'); a = bytearray(400 << 20); os._exit(0)\n"
        "os.wait(); print('went on')"
    ),
    "spin": python("print('up', flush=True)\nwhile True: pass"),
    "killed_first": ["/bin/sh", "-c", "cat /proc/self/oom_score_adj"],
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    toml = '[ops.owner]\ncommand = ["env"]\nenv = { WHO = "owner", PATH = "/owner:/usr/bin:/bin" }\n'
    return Bench(tmp_path_factory.mktemp("bench"), OPS, toml)


@pytest.fixture
def bench(shared: Bench) -> Iterator[Bench]:
    yield shared
    shared.clear()


_THREADS_OWN = 0b11 << 31
"""Signals 32 and 33, which the C library keeps for its threads: what an ancestor did to them nobody can undo."""


def test_an_op_finds_little_else_than_what_it_is_given(bench: Bench) -> None:
    gpu = GpuInfo(1, "GPU-abc", "x", 1)
    _, out, _ = bench.run("env", env={"GYOZA_RUN_ID": "r", "WHO": "run"}, gpu=gpu)
    env = json.loads(out)
    assert len(env.pop("GYOZA_MARK")) == 32
    assert env.pop("LC_CTYPE", None) in (None, "C.UTF-8")
    assert env.pop("HOME")
    assert env == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "GYOZA_RUN_ID": "r",
        "WHO": "run",
        "CUDA_VISIBLE_DEVICES": "GPU-abc",
    }


def test_the_kernel_kills_an_op_for_memory_before_the_worker(bench: Bench) -> None:
    _, out, _ = bench.run("killed_first")
    assert int(out) == 500
    assert int(Path("/proc/self/oom_score_adj").read_text()) < 500


def test_the_owner_wins_over_the_run_and_no_gpu_is_none(bench: Bench) -> None:
    _, out, _ = bench.run("owner", env={"WHO": "run"})
    lines = out.decode().splitlines()
    assert "WHO=owner" in lines
    assert "PATH=/owner:/usr/bin:/bin" in lines
    assert "CUDA_VISIBLE_DEVICES=" in lines


def test_a_run_brings_no_loader_variables_command_or_volumes(bench: Bench) -> None:
    with pytest.raises(NotExecutable, match="may not set LD_PRELOAD, PATH there"):
        bench.create("env", env={"LD_PRELOAD": "x", "PATH": "y", "OK": "z"})
    with pytest.raises(NotExecutable, match="a run brings none of its own"):
        bench.create("env", command=("rm", "-rf"))
    with pytest.raises(NotExecutable, match="no volumes"):
        bench.backend.create(replace(bench.spec("env"), volumes={"/": "/host"}))
    with pytest.raises(ImageNotFound):
        bench.create("nothing")
    assert bench.backend.refuses("env", {}) is None
    assert "not in this worker's list" in str(bench.backend.refuses("nothing", {}))
    assert "no volumes" in str(bench.backend.refuses("env", {"/": "/host"}))


def test_it_starts_in_its_directory_with_clean_signals_and_no_stray_files(bench: Bench) -> None:
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)  # as under `gyoza-tui &` of a script
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        _, out, handle = bench.run("where")
    finally:
        signal.signal(signal.SIGQUIT, before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    cwd, fds, *signals = out.decode().splitlines()
    assert cwd == handle["run_dir"] == bench.backend.op_dir(Path(handle["run_dir"]))
    assert set(fds.split()) <= {"0", "1", "2", "3"}
    masks = {
        line.split()[0]: int(line.split()[1], 16) for line in signals if line.startswith("Sig") and "/" not in line
    }
    assert masks["SigIgn:"] & ~_THREADS_OWN == 0
    assert masks["SigBlk:"] == 0


@pytest.mark.parametrize("code", [0, 1, 7, 125, 126, 127, 137, 255])
def test_the_exit_code_is_the_ops(bench: Bench, code: int) -> None:
    ended, _, _ = bench.run("exit", env={"CODE": str(code)})
    assert (ended.code, ended.signal, ended.oom, ended.machine_fault, ended.not_executable) == (
        code,
        None,
        False,
        None,
        None,
    )
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert 0 <= ended.finished_at - ended.started_at < 20
    assert abs(time.time() - ended.finished_at) < 20


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (15, "SIGTERM"), (11, "SIGSEGV"), (2, "SIGINT")])
def test_exit_137_is_not_sigkill(bench: Bench, number: int, name: str) -> None:
    ended, _, _ = bench.run("signal", env={"CODE": str(number)})
    assert (ended.code, ended.signal, ended.oom) == (128 + number, name, False)


@pytest.mark.parametrize("op", ["missing", "notexec", "unfound"])
def test_a_command_that_cannot_run_is_not_executable(bench: Bench, op: str) -> None:
    handle = bench.create(op)
    collected = bench.collect(handle)
    with pytest.raises(NotExecutable, match=r"No such file|Permission denied"):
        bench.backend.start(handle)
    with pytest.raises(NotExecutable):
        bench.backend.start(handle)
    assert bench.ended(handle).not_executable
    assert collected.end() == b""


def test_an_op_cannot_forge_its_end(bench: Bench) -> None:
    ended, out, handle = bench.run("forge")
    assert out == b"[]\n"
    assert ended.code == 3
    assert bench.control(handle).stat().st_mode & 0o777 == 0o700


def test_secrets_do_not_stay_on_disk_and_are_masked(bench: Bench) -> None:
    _, _, handle = bench.run("env", env={"TOKEN": "s3cr3t-value"})
    for path in bench.control(handle).iterdir():
        if path.name != "stdout":
            assert b"s3cr3t" not in path.read_bytes(), path
    described = bench.backend.describe(handle)
    assert described["environment"]["TOKEN"] == "***"
    assert "s3cr3t" not in json.dumps(described)
    assert described["op"] == "local://env"


def test_the_start_is_known_while_it_runs(bench: Bench) -> None:
    handle = bench.create("hold")
    assert bench.backend.started_at(handle) is None
    before = time.time()
    bench.backend.start(handle)
    assert bench.backend.started_at(handle) == pytest.approx(before, abs=5)


def test_create_and_start_again_change_nothing(bench: Bench) -> None:
    spec = bench.spec("hold")
    handle = bench.backend.create(spec)
    mark = bench.mark_of(handle)
    assert bench.backend.create(spec) == handle
    assert bench.mark_of(handle) == mark
    assert bench.backend.state(handle) is AttemptPhase.CREATED
    collected = bench.collect(handle)
    threads = [threading.Thread(target=bench.backend.start, args=(handle,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.backend.start(handle)
    assert bench.backend.state(handle) is AttemptPhase.RUNNING
    until(lambda: collected.data[Stream.STDOUT], "output")
    assert bench.backend.create(spec) == handle
    bench.backend.stop(handle, 5)
    assert collected.end() == b"up\n"
    bench.backend.start(handle)
    assert bench.ended(handle).signal == "SIGTERM"


def test_a_shim_that_has_no_room_to_say_that_it_is_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = bench.backend.create(bench.spec("hold"))
    monkeypatch.setattr("gyoza_tui.backends.local.launcher.Launcher.launch", lambda _self, _control: True)
    with pytest.raises(BackendUnavailable, match="did not come up"):
        bench.backend.start(handle)

    def full(_path: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskFull, match=rf"the disk of {bench.root}\S+ is full"):
        bench.backend.start(handle)


def test_a_name_of_another_attempt_is_not_taken_over(bench: Bench) -> None:
    spec = bench.spec("hold")
    bench.backend.create(spec)
    with pytest.raises(BackendError, match="held by another"):
        bench.backend.create(replace(spec, labels={Label.RUN: "other"}))


def test_30_mb_of_output_are_exact_also_when_taken_up_again(bench: Bench, tmp_path: Path) -> None:
    handle = bench.create("big")
    output = bench.backend.output(handle, None)
    bench.backend.start(handle)
    spool = LogSpool(tmp_path / "spool", 256 << 20)
    # A reader that is cut off again and again, at the point that its spool then tells.
    for _ in range(10):
        taken = 0
        for chunk in output:
            spool.append(chunk, 1.0)
            taken += len(chunk.data)
            if taken > 2_500_000:
                output.close()
        output = bench.backend.output(handle, spool.resume())
    for chunk in output:
        spool.append(chunk, 1.0)
    bench.ended(handle)
    expected = b"".join(b"%08d line of stdout\n" % i for i in range(600 * 2400))
    assert b"".join(spool.stream_bytes(Stream.STDOUT)) == expected
    assert b"".join(spool.stream_bytes(Stream.STDERR)) == (b"e" * 999 + b"\n") * 600
    assert len(expected) > 30_000_000
    spool.close()


def test_close_wakes_a_reader(bench: Bench) -> None:
    handle = bench.create("hold")
    collected = bench.collect(handle)
    bench.backend.start(handle)
    until(lambda: collected.data[Stream.STDOUT], "output")
    collected.output.close()
    until(lambda: collected.over, "the reader's end")


def test_output_comes_at_once_and_waiting_burns_no_cpu(bench: Bench) -> None:
    handle = bench.create("hold")
    collected = bench.collect(handle)
    bench.backend.start(handle)
    until(lambda: collected.data[Stream.STDOUT], "output")
    before = time.process_time()
    bench.backend.wait(handle, 1.0)
    assert time.process_time() - before < 0.3


def test_wait_ends_with_its_time_or_the_op(bench: Bench) -> None:
    handle = bench.create("hold")
    bench.backend.start(handle)
    started = time.monotonic()
    assert bench.backend.wait(handle, 0.2) is AttemptPhase.RUNNING
    assert 0.2 <= time.monotonic() - started < 15
    timer = threading.Timer(0.2, bench.backend.stop, (handle, 5))
    timer.start()
    assert bench.ended(handle).code == 143
    timer.join()


def test_usage_is_of_the_whole_tree(bench: Bench) -> None:
    handle = bench.create("spin")
    assert bench.backend.usage(handle).processes is None
    collected = bench.collect(handle)
    bench.backend.start(handle)
    until(lambda: collected.data[Stream.STDOUT], "output")
    bench.backend.usage(handle)
    until(lambda: (bench.backend.usage(handle).cpu_percent or 0) > 5, "a busy process")
    usage = bench.backend.usage(handle)
    assert usage.processes == 1
    assert usage.memory_mb is not None
    assert usage.memory_mb > 1


def test_files_go_in_and_out(bench: Bench) -> None:
    handle = bench.create("hold")
    bench.backend.put(handle, {"input.json": b"{}", "input.pkl": b"x"})
    assert bench.backend.fetch(handle, "input.json", 100) == b"{}"
    assert bench.backend.fetch(handle, "nothing", 100) is None


def test_find_knows_labels_and_states_and_survives_a_new_worker(bench: Bench) -> None:
    first, second = bench.create("hold"), bench.create("exit", env={"CODE": "0"})
    bench.backend.start(second)
    bench.ended(second)
    again = bench.another()
    found = {entry.name: entry for entry in again.find({Label.WORKER: "w"})}
    assert found[first["name"]].state is AttemptPhase.CREATED
    assert getattr(found[second["name"]].state, "code", None) == 0
    assert found[first["name"]].handle == first
    assert [entry.name for entry in again.find({Label.RUN: first["name"]})] == [first["name"]]
    assert again.find({Label.RUN: "other"}) == []


def test_removed_is_gone_and_removing_again_is_nothing(bench: Bench) -> None:
    _, _, handle = bench.run("exit", env={"CODE": "0"})
    bench.backend.remove(handle)
    bench.backend.remove(handle)
    assert bench.backend.state(handle) is AttemptPhase.GONE
    bench.backend.stop(handle, 1)
    for call in (bench.backend.start, bench.backend.describe, lambda h: bench.backend.output(h, None)):
        with pytest.raises(VanishedHandle):
            call(handle)


def test_prune_removes_only_what_a_crash_left(bench: Bench) -> None:
    kept = bench.create("hold")
    root = bench.control(kept).parent
    for name, age in ((".new-x-1", 100), (".old-y-2", 100), (".new-z-3", 0)):
        (root / name).mkdir()
        (root / name / "launch").write_text("x")
        os.utime(root / name, (time.time() - age,) * 2)
    assert bench.backend.prune({Label.WORKER: "w"}) == 2
    assert (root / ".new-z-3").exists()
    os.utime(root / ".new-z-3", (0, 0))
    assert bench.backend.prune({}) == 1
    assert bench.backend.state(kept) is AttemptPhase.CREATED


def memory_cgroup(bench: Bench) -> None:
    if "memory (cgroup)" not in bench.backend.capabilities.limits:
        pytest.skip(f"no memory cgroup may be made here: {bench.backend.capabilities.limits}")


def test_over_its_memory_the_op_is_killed_for_memory(bench: Bench) -> None:
    memory_cgroup(bench)
    ended, out, _ = bench.run("memory", ram_mb=64)
    assert (ended.signal, ended.oom, out) == ("SIGKILL", True, b"")
    assert bench.run("memory", ram_mb=800)[1] == b"%d\n" % (400 << 20)


def test_a_child_killed_for_memory_is_a_warning(bench: Bench) -> None:
    memory_cgroup(bench)
    ended, out, _ = bench.run("memory_child", ram_mb=64)
    assert (ended.code, ended.oom, out) == (0, False, b"went on\n")
    assert "killed for memory" in str(ended.warning)


def test_cpu_is_held_by_a_quota(bench: Bench) -> None:
    if "cpu (cgroup)" not in bench.backend.capabilities.limits:
        pytest.skip("no cpu cgroup may be made here")
    handle = bench.create("hold", cpu=0.5)
    groups = bench.backend.describe(handle)["cgroups"]
    quota = [
        p.read_text().split()[0] for g in groups for p in Path(g).glob("cpu.[cm][fa][sx]*") if "period" not in p.name
    ]
    assert "50000" in quota


def test_without_cgroups_memory_is_held_by_rlimit(bench: Bench, tmp_path: Path) -> None:
    options: BackendOptions = bench.options
    backend = bench.another()
    backend._creation = Creation(options, backend._ops, lambda: Cgroups({}), backend._root, "gyoza-none")
    assert backend._creation.limits_in_words() == "memory (rlimit, per process); not cpu nor pids"
    for ram_mb, code in ((64, 1), (800, 0)):
        handle: Handle = backend.create(bench.spec("memory", ram_mb=ram_mb))
        chunks: list[Chunk] = []
        output = backend.output(handle, None)
        backend.start(handle)
        chunks.extend(output)
        assert bench.ended(handle).code == code
        text = b"".join(chunk.data for chunk in chunks)
        assert (b"MemoryError" in text) == bool(code)


def test_a_backend_without_a_list_runs_nothing(tmp_path: Path) -> None:
    backend = LocalBackend(BackendOptions("w", "i", tmp_path / "state"), {})
    backend.check()
    assert backend.ops() == ()
    assert backend.find({}) == []
    assert backend.refuses("x", {})


def test_threads_and_files_are_as_before_after_many_runs(bench: Bench) -> None:
    bench.backend.remove(bench.run("exit", env={"CODE": "0"})[2])

    def counts() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    before = counts()
    for _ in range(25):
        bench.backend.remove(bench.run("exit", env={"CODE": "0"})[2])
    until(lambda: counts() <= before, "threads and files as before")
    zombies = [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_our_zombie(int(pid))]
    assert zombies == []


def _is_our_zombie(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] == "Z" and int(fields[1]) == os.getpid()


def test_a_probe_starts_a_process_and_keeps_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = bench.spec("env")
    bench.backend.probe(spec)
    assert bench.backend.find({}) == []
    assert bench.backend._cgroups().left(bench.backend._prefix) == []
    monkeypatch.setattr("sys.executable", str(bench.root / "no-such-python"))
    with pytest.raises(BackendBroken, match="no process can be started"):
        bench.backend.probe(spec)
