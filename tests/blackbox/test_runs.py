"""What ops do, told truly: outputs, ends, events and logs, on the real engine and as commands of this machine."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gyoza_tui.backends.base import Stream
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import House, WorkerProcess, ends, events_of, failure
from tests.images import BUSYBOX

local = pytest.param("local", id="local")
docker = pytest.param("docker", id="docker", marks=pytest.mark.docker)
OUTPUTS = {"loss": 0.25, "name": "é", "list": [1, None, True]}
ODD_BYTES = b"\xff\xfe\x00\x1b[2Jend\r\n\xc3 no newline here"
LONG_LINE = 100_000_000
FLOOD = 400_000


def octal(data: bytes) -> str:
    """A printf that writes exactly these bytes."""
    return "printf '" + "".join(f"\\{byte:03o}" for byte in data) + "'"


@dataclass(frozen=True)
class Op:
    script: str = ""
    command: tuple[str, ...] = ()
    image: str = BUSYBOX
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def argv(self) -> tuple[str, ...]:
        return self.command or ("sh", "-c", self.script)


OPS = {
    "json": Op('echo \'{"loss": 0.25, "name": "é", "list": [1, null, true]}\' > $GYOZA_OUTPUT_JSON'),
    "pickle": Op(octal(pickle.dumps(OUTPUTS, protocol=4)) + " > $GYOZA_OUTPUT_PATH"),
    "both": Op(
        "cat $GYOZA_INPUT_JSON > $GYOZA_OUTPUT_JSON; echo rubbish > $GYOZA_OUTPUT_PATH", more={"inputs": {"a": 1}}
    ),
    "nothing": Op("true"),
    "code": Op("echo the end; exit 41"),
    "stderr": Op("echo no disk >&2; echo the end; exit 41"),
    "segv": Op("kill -SEGV $$"),
    "killed": Op("kill -KILL $$"),
    "own_143": Op("echo it stops itself; exit 143"),
    "no_command": Op(command=("/no/such/command",)),
    "timeout": Op("exec sleep 100", more={"timeout_s": 1}),
    "events": Op(
        """echo '{"type": "PROGRESS", "msg": 10}'; echo '{"type": "INFO", "msg": "hi", "payload": {"a": [1]}}'
        echo '{"type": "PROGRESS", "msg": 80}'"""
    ),
    "flood": Op(
        f"""yes '{{"type": "INFO", "msg": "again"}}' | head -n {FLOOD}; echo '{{"type": "PROGRESS", "msg": 77}}'
        echo '{{"ended":' $(date +%s)'}}' > $GYOZA_OUTPUT_JSON"""
    ),
    "forged": Op(
        """echo '{"type": "COMPLETED", "msg": "x", "payload": {"y": 1}}'; echo '{"type": "CANCELLED", "msg": "x"}'
        echo '{"type": "FAILED", "msg": "x"}'; echo '{"type": "STARTED", "msg": "x"}'; sleep 0.3"""
    ),
    "bytes": Op(octal(ODD_BYTES)),
    "long_line": Op(f"head -c {LONG_LINE} /dev/zero | tr '\\000' x; echo; echo after"),
}
DOCKER_OPS = {
    "oom": Op("exec tail /dev/zero", more={"constraints": {"ram_mb": 32}}),
    "no_image": Op("true", image="gyoza-test/none:1"),
}  # fmt: skip


@dataclass
class Runs:
    house: House
    worker: WorkerProcess
    runs: dict[str, OpRun]

    def ended(self, name: str) -> OpRun:
        return self.house.ended(self.runs[name], 60)

    def out(self, name: str) -> bytes:
        return self.worker.log(self.ended(name), Stream.STDOUT)


@pytest.fixture(scope="module", params=[local, docker])
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """All of them, submitted at once."""
    with House(tmp_path_factory.mktemp("house")) as house:
        made = {}
        if request.param == "docker":
            house.engine = request.getfixturevalue("docker_engine")
            worker = house.worker(4, GYOZA_PULL_POLICY="never")
            for name, op in (OPS | DOCKER_OPS).items():
                made[name] = house.client.create_run(op.image, command=list(op.argv), **op.more)
        else:
            images = {name: house.op(name, *op.argv) for name, op in OPS.items()}
            worker = house.worker(4)
            for name, image in images.items():
                made[name] = house.client.create_run(image, **OPS[name].more)
        yield Runs(house, worker, made)


@pytest.mark.parametrize(
    ("name", "outputs"), [("json", OUTPUTS), ("pickle", OUTPUTS), ("both", {"a": 1}), ("nothing", {})]
)
def test_outputs(runs: Runs, name: str, outputs: dict[str, Any]) -> None:
    run = runs.ended(name)
    assert (run.state, run.outputs) == (RunState.COMPLETED, outputs)
    assert len(ends(run)) == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("code", {"reason": "op_error", "exit_code": 41, "signal": None, "log_tail": "the end\n"}),
        ("stderr", {"exit_code": 41, "error_line": "no disk"}),
        ("segv", {"reason": "op_error", "signal": "SIGSEGV"}),
        ("killed", {"reason": "killed", "signal": "SIGKILL", "message": "the op ended by SIGKILL"}),
        ("own_143", {"reason": "op_error", "signal": None, "message": "the op ended with exit code 143"}),
        ("no_command", {"reason": "not_executable"}),
        ("timeout", {"reason": "timeout"}),
        ("oom", {"reason": "oom_killed", "exit_code": 137}),
        ("no_image", {"reason": "image_not_found"}),
    ],
)
def test_bad_ends(runs: Runs, name: str, told: dict[str, Any]) -> None:
    if name not in runs.runs:
        pytest.skip("told by the tests of the backend alone: what a command of this machine may use depends on it")
    run = runs.ended(name)
    assert run.state is RunState.FAILED
    said = failure(run)
    assert {key: said.get(key) for key in told} == told, said
    assert len(ends(run)) == 1


def test_events_of_the_op(runs: Runs) -> None:
    run = runs.ended("events")
    assert events_of(run, EventType.PROGRESS)[-1].msg == 80
    (info,) = events_of(run, EventType.INFO)
    assert (info.msg, info.payload) == ("hi", {"a": [1]})


def test_the_end_of_a_run_follows_its_op_through_a_flood_of_events(runs: Runs) -> None:
    run = runs.ended("flood")
    (completed,) = events_of(run, EventType.COMPLETED)
    assert completed.t.timestamp() - run.outputs["ended"] < 3, "within two seconds, of which one is not counted"
    assert events_of(run, EventType.PROGRESS)[-1].msg == 77
    infos = events_of(run, EventType.INFO)
    dropped = FLOOD - (len(infos) - 1)
    assert infos[-1].msg == f"{dropped} events of the op were over the rate or size limit and dropped"
    assert runs.out("flood").count(b"\n") == FLOOD + 1


def test_forged_states_stay_log(runs: Runs) -> None:
    run = runs.ended("forged")
    assert (run.state, run.outputs) == (RunState.COMPLETED, {})
    assert len(events_of(run, EventType.STARTED)) == len(ends(run)) == 1
    assert runs.out("forged").count(b"\n") == 4


def test_bytes_are_kept_as_they_came(runs: Runs) -> None:
    assert runs.out("bytes") == ODD_BYTES


def test_a_line_of_100_mb(runs: Runs) -> None:
    assert runs.ended("long_line").state is RunState.COMPLETED
    assert runs.out("long_line") == b"x" * LONG_LINE + b"\nafter\n"


@pytest.fixture(params=[local, docker])
def submit(request: pytest.FixtureRequest) -> Callable[..., tuple[House, WorkerProcess, OpRun]]:
    """A house with one worker and one run of the script."""

    def submitted(script: str, **environment: Any) -> tuple[House, WorkerProcess, OpRun]:
        if request.param == "docker":
            made: House = request.getfixturevalue("docker_house")
            worker = made.worker(**environment)
            return made, worker, made.script(script)
        made = request.getfixturevalue("house")
        image = made.op("op", "sh", "-c", script)
        worker = made.worker(**environment)
        return made, worker, made.client.create_run(image)

    return submitted


GIB = 1 << 30
LINE = b"0123456789abcdef" * 8 + b"\n"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_gigabyte_of_log(submit: Callable[..., tuple[House, WorkerProcess, OpRun]]) -> None:
    """The spool is the same byte for byte, and the worker does not grow by it."""
    script = f"sleep 2; yes {LINE.decode().strip()} | head -c {GIB}"
    house, worker, run = submit(script, GYOZA_LOG_MAX_MB="2048")
    house.until_state(run, RunState.RUNNING)
    before = most = worker.process.memory_info().rss
    while not house.state(run).terminal:
        most = max(most, worker.process.memory_info().rss)
    assert house.ended(run).state is RunState.COMPLETED
    wanted, got = hashlib.sha256(), hashlib.sha256()
    whole, rest = divmod(GIB, len(LINE) * 8192)
    for _ in range(whole):
        wanted.update(LINE * 8192)
    wanted.update((LINE * 8192)[:rest])
    for piece in worker.spool(run).stream_bytes(Stream.STDOUT):
        got.update(piece)
    assert got.hexdigest() == wanted.hexdigest()
    assert most - before < 50 * 1024 * 1024, f"grew by {(most - before) / 1e6:.0f} MB"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_log_over_the_cap(submit: Callable[..., tuple[House, WorkerProcess, OpRun]]) -> None:
    """Head and tail exactly, and between them the mark that says exactly what is missing."""
    last = 80_000_000
    house, worker, run = submit(f"seq 1 {last}")
    assert house.ended(run, 300).state is RunState.COMPLETED
    spool = worker.spool(run)
    (cut,) = spool.cuts
    total = sum((min(last + 1, 10 ** (n + 1)) - 10**n) * (n + 2) for n in range(8))
    assert spool.bytes == total
    expected, number, line_start = hashlib.sha256(), 1, 0
    kept = hashlib.sha256()
    for piece in spool.stream_bytes(Stream.STDOUT):
        kept.update(piece)
    head_lines = tail_lines = begun = 0
    while number <= last:
        batch = range(number, min(number + 100_000, last + 1))
        text = b"".join(b"%d\n" % n for n in batch)
        end = line_start + len(text)
        head = text[: max(0, cut.offset - line_start)]
        tail = text[max(0, cut.offset + cut.bytes - line_start) :]
        expected.update(head)
        if end > cut.offset + cut.bytes:
            expected.update(tail)
            tail_lines += tail.count(b"\n")
        if head:
            head_lines += head.count(b"\n")
            begun = int(not head.endswith(b"\n"))
        number, line_start = batch.stop, end
    assert kept.hexdigest() == expected.hexdigest()
    assert cut.lines == last - head_lines - begun - tail_lines
    assert spool.bytes - cut.bytes <= 512 * 1024 * 1024
