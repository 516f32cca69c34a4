"""`run`: an op once, without a server."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

import gyoza_tui.op
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.backends.local_ops import alive
from tests.cli.conftest import Verb
from tests.commands import COMMAND, Started, environment, installed
from tests.engine import PrivateEngine
from tests.images import BUSYBOX, PYTHON
from tests.waiting import until
from tests.worker.test_hardware import build

COUNT = """\
import json, os, sys
given = json.load(open(os.environ["GYOZA_INPUT_JSON"]))
print("given", given)
print("token", os.environ.get("TOKEN"), file=sys.stderr, flush=True)
if given["n"] < 0:
    print("no end", end="")
    sys.exit(3)
json.dump({"twice": 2 * given["n"]}, open(os.environ["GYOZA_OUTPUT_JSON"], "w"))
"""
DEFINITION = """\
id: count
version: "1"
image: local://count
input_specs:
  n: {type: int, required: false, default: 21}
"""


def an_op(home: Path, text: str = COUNT, definition: str = DEFINITION) -> Path:
    """A directory with an op that is a command of this machine."""
    home.mkdir(exist_ok=True)
    (home / "count.py").write_text(text)
    (home / "gyoza.yml").write_text(definition)
    (home / "ops.toml").write_text(f'[ops.count]\ncommand = ["python3", "{home.absolute() / "count.py"}"]\n')
    return home


def test_log_outputs_and_time(verb: Verb, tmp_path: Path) -> None:
    said = verb("run", str(an_op(tmp_path / "op")), "n=4")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert sorted(lines[:2]) == ["given {'n': 4}", "token None"]
    assert re.match(r"COMPLETED \d", lines[2])
    assert lines[3:] == ["twice = 8"]


def test_this_directory_and_the_defaults_of_its_definition(verb: Verb, tmp_path: Path) -> None:
    an_op(tmp_path)
    assert verb("run").out.splitlines()[-1] == "twice = 42"
    assert verb("run", "n=1").out.splitlines()[-1] == "twice = 2"
    (tmp_path / "in.json").write_text('{"n": 5}')
    assert verb("run", "--inputs", "in.json").out.splitlines()[-1] == "twice = 10"


def test_json_is_a_run_and_the_log_on_stderr(verb: Verb, tmp_path: Path) -> None:
    said = verb("run", str(an_op(tmp_path / "op")), "n=4", "--json")
    assert said.code == 0
    run = OpRun.model_validate_json(said.out)
    assert (run.state, run.outputs, run.inputs) == (RunState.COMPLETED, {"twice": 8}, {"n": 4})
    assert (run.op_definition, run.op_version) == ("count", "1")
    summary = run.execution_summary
    assert summary.duration_ms is not None
    assert summary.started_at is not None
    assert [(event.type.value, event.state) for event in run.events] == [
        ("STARTED", RunState.RUNNING),
        ("COMPLETED", RunState.COMPLETED),
    ]
    assert run.events[0].t <= run.events[1].t
    assert (run.progress, run.events[-1].payload) == (100, {"twice": 8})
    assert "given {'n': 4}\n" in said.err


def test_a_failure_is_exit_1_and_begins_on_a_line_of_its_own(verb: Verb, tmp_path: Path) -> None:
    home = an_op(tmp_path / "op")
    said = verb("run", str(home), "n=-1")
    assert (said.code, said.err) == (1, "gyoza-tui: op_error: the op ended with exit code 3\n")
    assert "no end" in said.out
    assert re.match(r"FAILED \d", said.out.splitlines()[-1])
    told = verb("run", str(home), "n=-1", "--json")
    run = OpRun.model_validate_json(told.out)
    assert (told.code, run.state) == (1, RunState.FAILED)
    assert run.execution_summary.error_message == "op_error: the op ended with exit code 3"


def test_an_op_that_submits_is_told_that_there_is_no_server(verb: Verb, tmp_path: Path) -> None:
    home = an_op(tmp_path / "op", "from gyoza_op import submit\nsubmit('a@1')\n", DEFINITION + "may_submit: any\n")
    shutil.copy(gyoza_tui.op.__file__, home / "gyoza_op.py")
    assert "NotUnderGyoza: `gyoza-tui run` has no server" in verb("run", str(home)).out


def test_a_secret_is_not_in_the_log(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    said = verb("run", str(an_op(tmp_path / "op", definition=DEFINITION + "secret_env:\n  TOKEN:\n")))
    assert said.code == 0
    assert "token ***\n" in said.out
    assert "s3cret" not in said.out + said.err


def test_its_time_limit_holds(verb: Verb, tmp_path: Path) -> None:
    home = an_op(tmp_path / "op", "import time\ntime.sleep(60)\n", DEFINITION + "timeout_s: 0.3\n")
    said = verb("run", str(home))
    assert (said.code, said.err) == (1, "gyoza-tui: timeout: stopped after 0.3 s, its time limit\n")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["op", "n=x", "m=1"], 2, "not an input of count\nn must be int, not str\ninputs of count@1: n (int, 21)"),
        (["op", "n"], 2, "'n': write an input as name=value"),
        (["empty"], 2, "empty has neither gyoza.yml nor a Dockerfile; `gyoza-tui init DIR`"),
        (["local://other"], 2, "local://other is not in this worker's list of ops"),
        (["slurm://x"], 2, "nothing here runs slurm:// images"),
        (["./my-op"], 2, "there is no such directory, and './my-op' is not an image name"),
        (["two"], 2, "two/gyoza.yml holds 2 definitions (count, other): `run` takes a directory with one op"),
        (["gpu"], 1, "the op needs a GPU with 9000000 MB, and this machine has none"),
        (["op", "--", "true"], 1, "a run brings none of its own"),
    ],
)  # fmt: skip
def test_what_cannot_be_run(verb: Verb, clean_environment: Path, words: list[str], code: int, told: str) -> None:
    home = clean_environment
    an_op(home / "op")
    an_op(home / "two", definition=f"{DEFINITION}---\n{DEFINITION.replace('id: count', 'id: other')}")
    an_op(home / "gpu", definition=DEFINITION + "constraints: {vram_mb: 9000000}\n")
    (home / "empty").mkdir()
    said = verb("run", *words)
    assert said.code == code
    assert told in said.err


def test_an_op_that_needs_a_gpu_gets_one_that_is_large_enough(tmp_path: Path) -> None:
    stub = build(tmp_path / "nvml")
    text = 'import os\nprint("sees", os.environ["CUDA_VISIBLE_DEVICES"])\n'
    env = {"LD_LIBRARY_PATH": str(stub), "NVML_STUB_GPUS": "2"}
    for need, gpu in (("vram_mb: 8000", 0), ("gpu_id: 1", 1)):
        home = an_op(tmp_path / "op", text, DEFINITION + f"constraints: {{{need}}}\n")
        done = installed(tmp_path, "run", str(home), "--json", env=env)
        assert done.stderr == f"sees GPU-{gpu}\n"
        assert OpRun.model_validate_json(done.stdout).execution_summary.gpu_id == gpu


def test_without_an_engine_it_says_what_to_do(
    verb: Verb, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{clean_environment}/none.sock")
    (clean_environment / "Dockerfile").touch()
    said = verb("run", "n=1")
    assert said.code == 1
    assert "no Docker engine answers" in said.err
    assert "by hand" in said.err
    said = verb("run", "busybox")
    assert said.code == 1
    assert "Traceback" not in said.err


# Ctrl-C

PATIENT = """\
import signal, sys, time
def end(*_):
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, HANDLER)
print("begun", flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_op(tmp_path: Path, number: signal.Signals) -> None:
    home = an_op(tmp_path / "op", PATIENT.replace("HANDLER", "end"))
    with Started(tmp_path, "run", str(home)) as command:
        says(command, "begun")
        command.process.send_signal(number)
        assert command.process.wait(20) == 130
        assert command.out.read_text() == "begun\nsaved\n"
        assert "stopping the op; Ctrl-C again kills it, a third leaves it" in command.said
    assert not processes_of(home)


def test_a_second_ctrl_c_kills_it(tmp_path: Path) -> None:
    home = an_op(tmp_path / "op", PATIENT.replace("HANDLER", "signal.SIG_IGN"))
    with Started(tmp_path, "run", str(home), env={"GYOZA_STOP_GRACE_S": "60"}) as command:
        says(command, "begun")
        command.process.send_signal(signal.SIGINT)
        says(command, "stopping the op")
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(20) == 130
    assert not processes_of(home)


def test_what_a_killed_one_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    home, temporary = an_op(tmp_path / "op", PATIENT.replace("HANDLER", "end")), tmp_path / "tmp"
    temporary.mkdir()
    env = {"TMPDIR": str(temporary)}
    with Started(tmp_path, "run", str(home), env=env) as killed:
        says(killed, "begun")
    with Started(tmp_path, "run", str(home), env=env, name="living") as living:
        says(living, "begun")
        assert "removed gyoza-try-" in living.said, "what the killed one left"
        assert len(processes_of(home)) == 1
        an_op(home)
        done = installed(tmp_path, "run", str(home), env=env)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(list(temporary.glob("gyoza-*"))) == len(processes_of(home)) == 1, "the living one's"
        living.process.send_signal(signal.SIGTERM)
        assert living.process.wait(20) == 130
    assert list(temporary.iterdir()) == []


def test_a_terminal_that_is_gone_leaves_no_op(tmp_path: Path) -> None:
    home = an_op(tmp_path / "op", PATIENT.replace("HANDLER", "end"))
    near, far = pty.openpty()
    try:
        process = subprocess.Popen(
            [COMMAND, "run", str(home)], env=environment(tmp_path), stdin=far, stdout=far, stderr=far
        )
        os.close(far)
        until(lambda: b"begun" in os.read(near, 4096), "the op has begun")
    finally:
        os.close(near)
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 130
    assert not processes_of(home)


@contextmanager
def unread(home: Path, op: Path, more: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """A `run` whose log fills a pipe that nobody reads; `home` has its TMPDIR."""
    near, far = os.pipe()
    (home / "tmp").mkdir()
    process = subprocess.Popen(
        [COMMAND, "run", str(op), *more],
        env=environment(home, TMPDIR=str(home / "tmp")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if more else far,
        stderr=far if more else subprocess.PIPE,
    )
    try:
        os.close(far)
        until(lambda: _pipe_is_full(near), "the pipe is full")
        yield process
    finally:
        process.kill()
        os.close(near)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_output_that_nobody_reads_holds_up_no_interrupt(tmp_path: Path, more: tuple[str, ...]) -> None:
    home = an_op(tmp_path / "op", "print('x' * 500_000)\n")
    with unread(tmp_path, home, more) as process:
        # one that comes just before the end is about the op, the next one about its output
        until(lambda: _ends_by(process, signal.SIGINT), "its end")
        assert process.returncode == 130
    assert list((tmp_path / "tmp").iterdir()) == []
    assert more or b"interrupted: " in process.communicate()[1]


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_op_whose_output_nobody_reads_is_stopped(tmp_path: Path, more: tuple[str, ...]) -> None:
    home = an_op(tmp_path / "op", "import time\nprint('x' * 500_000, flush=True)\ntime.sleep(600)\n")
    with unread(tmp_path, home, more) as process:
        process.send_signal(signal.SIGINT)
        until(lambda: not processes_of(home), "the op's end")
        until(lambda: _ends_by(process, signal.SIGINT), "its end")
        assert process.returncode == 130
    assert list((tmp_path / "tmp").iterdir()) == []


def _ends_by(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether it ends soon when it gets that signal; else it may get another one."""
    process.send_signal(number)
    with suppress(subprocess.TimeoutExpired):
        process.wait(3)
    return process.returncode is not None


def _pipe_is_full(near: int) -> bool:
    waiting = bytearray(4)
    fcntl.ioctl(near, termios.FIONREAD, waiting)
    return int.from_bytes(waiting, sys.byteorder) >= 65536


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    home = an_op(tmp_path / "op")
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [COMMAND, "run", str(home)], env=environment(tmp_path), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines() == [
        "the log can no longer be printed: No space left on device",
        "gyoza-tui: No space left on device",
    ]


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, "is full"), (errno.EDQUOT, "is used up")])
def test_a_disk_that_is_full_is_named(
    verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    def full(_descriptor: int, _data: bytes) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("gyoza_tui.worker.op_output.log_spool.writer._write_all", full)
    said = verb("run", str(an_op(tmp_path / "op")))
    assert said.code == 1
    assert f"disk of {tempfile.gettempdir()}/" in said.err
    assert f"{told}: free some space there, or name a directory of another disk by TMPDIR\n" in said.err
    assert "Errno" not in said.err


def says(command: Started, words: str) -> None:
    until(lambda: words in command.said or command.process.poll() is not None, f"it says {words}")
    assert words in command.said, command.said


def _is_pending(pid: int, number: signal.Signals) -> bool:
    """Whether the process has yet to take it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (pending,) = (int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd:"))
    return bool(pending & 1 << (number - 1))


def processes_of(home: Path) -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if str(home / "count.py") in (each.info["cmdline"] or [])]


# In Docker


@pytest.fixture
def image(docker_engine: docker.APIClient) -> Iterator[str]:
    """The name under which a test may build; removed at the end."""
    yield "gyoza-test-run:1"
    if docker_engine.images("gyoza-test-run:1"):
        docker_engine.remove_image("gyoza-test-run:1")


def ours(engine: docker.APIClient, worker: str) -> list[str]:
    return [found["Id"] for found in engine.containers(all=True, filters={"label": f"gyoza.worker={worker}"})]


@pytest.mark.docker
def test_an_image_with_a_command(verb: Verb, docker_engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_PULL_POLICY", "never")
    monkeypatch.setenv("GYOZA_WORKER_ID", "run-image")
    script = "cat $GYOZA_INPUT_JSON; echo '{\"a\": 1}' > $GYOZA_OUTPUT_JSON"
    said = verb("run", BUSYBOX, "n=3", "--", "sh", "-c", script)
    assert said.code == 0, said.err
    assert said.out.splitlines()[0] == '{"n": 3}'
    assert said.out.splitlines()[-1] == "a = 1"
    assert not ours(docker_engine, "run-image")


@pytest.mark.docker
def test_a_dockerfile_without_a_definition(verb: Verb, docker_engine: docker.APIClient, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "Dockerfile").write_text(f'FROM {BUSYBOX}\nENTRYPOINT ["cat", "/gyoza/input.json"]\n')
    try:
        said = verb("run", "bare", "n=3", "s=x")
    finally:
        docker_engine.remove_image("gyoza-try-bare")
    assert said.code == 0, said.err
    assert json.loads(said.out.splitlines()[0]) == {"n": 3, "s": "x"}


@pytest.mark.docker
def test_a_build_that_fails_tells_what_it_said(verb: Verb, docker_engine: docker.APIClient, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {PYTHON}\nCOPY missing.py /\n")
    said = verb("run")
    assert said.code == 1
    assert "cannot be built: COPY failed" in said.err
    assert "  | Step 2/2 : COPY missing.py /" in said.err
    (tmp_path / "Dockerfile").write_text("FRM x\n")
    assert "cannot be built: " in verb("run").err


@pytest.fixture
def helper(docker_engine: docker.APIClient, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A credential helper that hangs, for a build in `bare`; its process is in `asked`."""
    program = tmp_path / "docker-credential-hangs"
    program.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/asked.new; mv {tmp_path}/asked.new {tmp_path}/asked; sleep 1000\n"
    )
    program.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "hangs"}')
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "Dockerfile").write_text(f'FROM {BUSYBOX}\nENTRYPOINT ["true"]\n')
    yield {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    if docker_engine.images("gyoza-try-bare"):
        docker_engine.remove_image("gyoza-try-bare")


@pytest.mark.docker
def test_a_build_waits_for_no_credential_helper_for_ever(
    verb: Verb, helper: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gyoza_tui.cli.try_op.image_build.HELPERS_S", 3)
    for name, value in helper.items():
        monkeypatch.setenv(name, value)
    said = verb("run", "bare")
    named = "warning: the credential helper docker-credential-hangs was ended: it did not answer; building without"
    assert named in said.err
    assert said.code == 0, said.err
    assert not alive(int((tmp_path / "asked").read_text()))


@pytest.mark.docker
def test_ctrl_c_ends_the_credential_helper_of_a_build(helper: dict[str, str], tmp_path: Path) -> None:
    with Started(tmp_path, "run", "bare", env=helper) as command:
        until((tmp_path / "asked").exists, "the helper is asked")
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(20) == 130
    helper_pid = int((tmp_path / "asked").read_text())
    until(lambda: not alive(helper_pid), "the helper's end")


@pytest.mark.docker
def test_ctrl_c_while_a_credential_helper_starts_ends_it_too(
    verb: Verb, helper: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in helper.items():
        monkeypatch.setenv(name, value)
    start, started, main = subprocess.Popen, list[int](), threading.get_ident()

    def interrupted(*arguments: Any, **more: Any) -> subprocess.Popen[bytes]:
        process = start(*arguments, **more)
        started.append(process.pid)
        signal.pthread_kill(main, signal.SIGINT)
        return process

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    assert verb("run", "bare").code == 130
    until(lambda: not alive(started[0]), "the helper's end")


@pytest.mark.docker
def test_ctrl_c_leaves_no_container(docker_engine: docker.APIClient, tmp_path: Path) -> None:
    env = {"GYOZA_PULL_POLICY": "never", "GYOZA_WORKER_ID": "run-ctrl-c", "GYOZA_STOP_GRACE_S": "1"}
    with Started(tmp_path, "run", BUSYBOX, "--", "sh", "-c", "echo begun; sleep 60", env=env) as command:
        says(command, "begun")
        assert len(ours(docker_engine, "run-ctrl-c")) == 1
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(20) == 130
    assert not ours(docker_engine, "run-ctrl-c")


@pytest.mark.docker
def test_a_container_that_a_killed_one_left(docker_engine: docker.APIClient, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    env = {"GYOZA_PULL_POLICY": "never", "GYOZA_WORKER_ID": "run-killed", "GYOZA_STOP_GRACE_S": "1"}
    env["TMPDIR"] = str(tmp_path / "tmp")
    begun = ("run", BUSYBOX, "--", "sh", "-c", "echo begun; sleep 60")
    with Started(tmp_path, *begun, env=env, name="living") as living:
        says(living, "begun")
        (kept,) = ours(docker_engine, "run-killed")
        with Started(tmp_path, *begun, env=env) as killed:
            says(killed, "begun")
        assert len(ours(docker_engine, "run-killed")) == 2
        done = installed(tmp_path, "run", BUSYBOX, "--", "true", env=env)
        assert done.returncode == 0
        assert done.stderr.startswith("removed gyoza-try-")
        assert done.stderr.count("\n") == 1
        assert ours(docker_engine, "run-killed") == [kept]
        living.process.send_signal(signal.SIGINT)
        assert living.process.wait(20) == 130
    assert not ours(docker_engine, "run-killed")
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.docker
def test_a_third_ctrl_c_leaves_what_a_hanging_engine_cannot_stop(private_engine: PrivateEngine, tmp_path: Path) -> None:
    env = {"GYOZA_PULL_POLICY": "never", "DOCKER_HOST": private_engine.host}
    with Started(tmp_path, "run", BUSYBOX, "--", "sh", "-c", "echo begun; sleep 60", env=env) as command:
        says(command, "begun")
        (container,) = private_engine.client().containers()
        private_engine.freeze()
        for _ in range(3):
            command.process.send_signal(signal.SIGINT)
            until(lambda: not _is_pending(command.process.pid, signal.SIGINT), "it has come: else two become one")
            time.sleep(0.3)  # and is heard
        assert command.process.wait(20) == 130
        private_engine.thaw()
        assert f"remove it: docker rm -f {container['Names'][0].removeprefix('/')}" in command.said


@pytest.mark.docker
def test_an_image_that_is_nowhere(docker_engine: docker.APIClient, tmp_path: Path) -> None:
    done = installed(tmp_path, "run", "gyoza-test/none:1", env={"GYOZA_PULL_POLICY": "never"})
    assert done.returncode == 1
    assert "gyoza-test/none:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("there is no directory gyoza-test/none:1 here: taken as an image, to be pulled\n")


@pytest.mark.docker
def test_what_is_pulled_in_vain_is_tried_once(docker_engine: docker.APIClient, tmp_path: Path) -> None:
    done = installed(tmp_path, "run", "127.0.0.1:1/none:1")
    assert done.returncode == 1
    assert "try 2" not in done.stderr
    assert "refused" in done.stderr


@pytest.mark.docker
def test_a_full_disk_leaves_no_container(docker_engine: docker.APIClient, tmp_path: Path) -> None:
    env = environment(tmp_path, GYOZA_PULL_POLICY="never", GYOZA_WORKER_ID="run-full", GYOZA_STOP_GRACE_S="1")
    line = f"ulimit -f 64; exec {COMMAND} run {BUSYBOX} -- head -c 1000000 /dev/zero"
    ended = subprocess.run(["sh", "-c", line], env=env, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert b"File too large" in ended.stderr
    assert not ours(docker_engine, "run-full")
