"""Code written for `gyoza.worker` runs after replacing `gyoza` by `gyoza_tui` in its imports."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import docker
import pytest

from gyoza_tui.backends.base import Label
from gyoza_tui.models.workers import ClaimRequest
from gyoza_tui.worker.execution_pipeline import ExecutionContext, Pipeline
from gyoza_tui.worker.execution_pipeline.pipeline import StepExited
from gyoza_tui.worker.execution_pipeline.types.step import always
from tests.images import BUSYBOX
from tests.servers import KEY, ServerThread

_CONTEXT = (
    "(oprun_id='', image='', constraints=<factory>, inputs=<factory>, outputs=<factory>, env_vars=<factory>, "
    "volumes=<factory>, logs='', exit_code=None, extras=<factory>)"
)
_WORKER_CONTEXT = "(worker_id='', resources=<factory>, tags=<factory>, running_ops=<factory>)"
_RUNNING_OP = "(id, image, inputs=<factory>, constraints=<factory>, state=None)"

SIGNATURES = {
    "worker.ExecutionContext": _CONTEXT,
    "worker.WorkerContext": _WORKER_CONTEXT,
    "worker.WorkerContext.add_running_op": "(self, oprun_id, image, inputs, constraints=None)",
    "worker.start": "()",
    "worker.runner.start": "()",
    "worker.execution_pipeline.ExecutionContext": _CONTEXT,
    "worker.execution_pipeline.Step": "(*args, **kwargs)",
    "worker.execution_pipeline.Pipeline": "(steps=None)",
    "worker.execution_pipeline.Pipeline.run": "(self, ctx=None)",
    "worker.execution_pipeline.pull_latest_image": "(ctx)",
    "worker.execution_pipeline.start_oprun": "(ctx)",
    "worker.execution_pipeline.pipeline.Pipeline": "(steps=None)",
    "worker.execution_pipeline.pipeline.Pipeline.run": "(self, ctx=None)",
    "worker.execution_pipeline.types.context.ExecutionContext": _CONTEXT,
    "worker.execution_pipeline.types.step.Step": "(*args, **kwargs)",
    "worker.execution_pipeline.steps.prepare_inputs.PrepareInputs": "()",
    "worker.execution_pipeline.steps.pull_latest_image.pull_latest_image": "(ctx)",
    "worker.execution_pipeline.steps.run_container.RunContainer": "()",
    "worker.execution_pipeline.steps.start_oprun.start_oprun": "(ctx)",
    "worker.execution_pipeline.steps.complete_oprun.complete_oprun": "(ctx)",
    "worker.execution_pipeline.steps.cleanup_op_dir.cleanup_op_dir": "(ctx)",
    "worker.worker_context.GPU": "(id, vram_mb, tags=<factory>)",
    "worker.worker_context.Resources": "(cpu_cores=0, ram_mb=0, gpus=<factory>)",
    "worker.worker_context.RunningOp": _RUNNING_OP,
    "worker.worker_context.WorkerContext": _WORKER_CONTEXT,
    "worker.worker_context.WorkerContext.add_running_op": "(self, oprun_id, image, inputs, constraints=None)",
    "worker.worker_context.WorkerContext.remove_running_op": "(self, oprun_id)",
    "worker.worker_context.WorkerContext.set_run_state": "(self, run_id, state)",
    "worker.worker_context.WorkerContext.get_run_state": "(self, run_id)",
    "worker.worker_context.WorkerContext.is_run_cancelled": "(self, run_id)",
    "worker.worker_context.WorkerContext.to_heartbeat_payload": "(self)",
    "worker.worker_context.detect_resources": "()",
    "worker.worker_context.types.RunningOp": _RUNNING_OP,
    "worker.worker_context.types.GPU": "(id, vram_mb, tags=<factory>)",
    "worker.worker_context.types.Resources": "(cpu_cores=0, ram_mb=0, gpus=<factory>)",
    "worker.worker_context.types.WorkerContext": _WORKER_CONTEXT,
    "worker.worker_context.types.WorkerContext.add_running_op": "(self, oprun_id, image, inputs, constraints=None)",
}
"""Names and defaults as the reference documents them."""

SINGLETONS = [
    "worker.execution_pipeline.execution_pipeline",
    "worker.worker_context.worker_context",
    "client.gyoza_client",
]


def _found(dotted: str) -> Any:
    """What `from gyoza_tui.<module> import <name>` finds."""
    parts = ["gyoza_tui", *dotted.split(".")]
    for split in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for name in parts[split:]:
            found = getattr(found, name)
        return found
    raise AssertionError(dotted)


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    kept = [
        p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values() if p.name != "services"
    ]
    return str(signature.replace(parameters=kept, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize("dotted", SIGNATURES)
def test_names_and_defaults_are_the_references(dotted: str) -> None:
    assert _signature(_found(dotted)) == SIGNATURES[dotted]


@pytest.mark.parametrize("dotted", SINGLETONS)
def test_the_ready_made_objects_are_no_modules(dotted: str) -> None:
    assert not inspect.ismodule(_found(dotted))


def test_no_step_hides_its_module() -> None:
    steps = importlib.import_module("gyoza_tui.worker.execution_pipeline.steps")
    for name in (
        "prepare_inputs",
        "pull_latest_image",
        "run_container",
        "start_oprun",
        "complete_oprun",
        "cleanup_op_dir",
    ):
        importlib.import_module(f"{steps.__name__}.{name}")
        assert inspect.ismodule(getattr(steps, name))


def test_the_context_is_mutable_and_services_are_neither_shown_nor_compared() -> None:
    ctx = ExecutionContext("r1", "op", {"cpu": 1})
    assert ctx == ExecutionContext("r1", "op", {"cpu": 1}, services=object())  # type: ignore[arg-type]
    assert "services" not in repr(ctx)
    ctx.exit_code = 3
    assert ctx.extras == {}
    with pytest.raises(TypeError):
        ExecutionContext("", "", {}, {}, {}, {}, {}, "", None, {}, object())  # type: ignore[call-arg,arg-type]


def test_the_references_own_example_of_a_heartbeat(tmp_path: Path) -> None:
    with ServerThread(tmp_path / "server.db") as server:
        script = """
            from gyoza_tui.worker.worker_context import worker_context
            print(worker_context.worker_id, worker_context.resources.cpu_cores > 0, worker_context.resources.ram_mb > 0)
            from gyoza_tui.client import gyoza_client
            payload = worker_context.to_heartbeat_payload()
            gyoza_client.heartbeat(**payload)
        """
        told = _script(script, tmp_path, GYOZA_SERVER_URL=server.url, GYOZA_API_KEY="test-key", GYOZA_WORKER_ID="ref-1")
        assert told.stdout == "ref-1 True True\n", told.stderr
        assert server.client.get_worker("ref-1").worker_id == "ref-1"


_IMPORT_ALL = """
    import importlib, sys
    import psutil
    def forbidden(*_, **__):
        raise SystemExit("looked at the machine while importing")
    for name in ("cpu_count", "virtual_memory", "cpu_percent", "disk_partitions"):
        setattr(psutil, name, forbidden)
    sys.modules["pynvml"] = None
    import gyoza_tui.settings as settings
    settings.Settings.__init__ = forbidden
    for dotted in {names!r}:
        importlib.import_module("gyoza_tui." + dotted)
    print([name for name in ("docker", "textual", "fastapi", "sqlalchemy", "uvicorn") if name in sys.modules])
"""


def test_importing_looks_at_nothing(tmp_path: Path) -> None:
    modules = ["client", "worker", "worker.runner", "worker.worker_context", "worker.worker_context.types"]
    modules += [
        f"worker.execution_pipeline{rest}" for rest in ("", ".pipeline", ".types.context", ".types.step", ".steps")
    ]
    told = _script(_IMPORT_ALL.format(names=modules), tmp_path)
    assert (told.stdout, told.returncode) == ("[]\n", 0), told.stderr


# The pipeline in a plain script


def _script(code: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home)} | env
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=variables,
        cwd=home,
        timeout=60,
        check=False,
    )


_RUN = """
    from gyoza_tui.worker.execution_pipeline import ExecutionContext, execution_pipeline
    ctx = ExecutionContext(oprun_id="run_abc123", image="local://greet", inputs={"name": "Ada"})
    result = execution_pipeline.run(ctx)
    print(result is ctx, result.exit_code, result.outputs, repr(result.logs))
"""

_STEPS = """
    import glob, tempfile
    from gyoza_tui.worker.execution_pipeline import Pipeline
    def one(ctx):
        ctx.extras["seen"] = [1]
        return ctx
    def two(ctx):
        ctx.extras["seen"].append(2)
        return ctx
    ctx = Pipeline([one, two]).run()
    print(ctx.extras["seen"], glob.glob(tempfile.gettempdir() + "/gyoza-*"))
"""

_BROKEN_STEP = """
    import os
    from gyoza_tui.worker.execution_pipeline import ExecutionContext, Pipeline
    def broken(ctx):
        raise ZeroDivisionError("broken")
    try:
        Pipeline([broken]).run(ExecutionContext(oprun_id=os.environ["RUN"]))
    except ZeroDivisionError:
        print("raised")
"""

_GREET = """
import json, os, sys
name = json.load(open(os.environ["GYOZA_INPUT_JSON"]))["name"]
print("hello", name)
json.dump({"greeting": "hello " + name}, open(os.environ["GYOZA_OUTPUT_JSON"], "w"))
sys.exit(0 if name == "Ada" else 4)
"""


@pytest.fixture
def ops(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "greet.py").write_text(_GREET)
    (tmp_path / "ops.toml").write_text(f'[ops.greet]\ncommand = ["{sys.executable}", "{tmp_path}/greet.py"]\n')
    return {"GYOZA_OPS_FILE": str(tmp_path / "ops.toml"), "GYOZA_SERVER_URL": "http://127.0.0.1:9"}


def test_a_run_in_a_plain_script_without_a_server(tmp_path: Path, ops: dict[str, str]) -> None:
    told = _script(_RUN, tmp_path, **ops)
    assert told.stdout.splitlines()[0] == "True 0 {'greeting': 'hello Ada'} 'hello Ada\\n'", told.stderr
    assert "no server at http://127.0.0.1:9" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.docker
def test_a_container_in_a_plain_script(tmp_path: Path, docker_engine: docker.APIClient) -> None:
    """As the reference's own example has it: an image, inputs, and what came of it."""
    script = "echo hello; sed s/name/greeting/ $GYOZA_INPUT_JSON > $GYOZA_OUTPUT_JSON"
    made = docker_engine.create_container(BUSYBOX)
    docker_engine.commit(made, "gyoza-test/greet", "1", changes=[f"CMD {json.dumps(['sh', '-c', script])}"])
    try:
        env = {"GYOZA_SERVER_URL": "http://127.0.0.1:9", "GYOZA_PULL_POLICY": "never"}
        told = _script(_RUN.replace("local://greet", "gyoza-test/greet:1"), tmp_path, **env)
        assert told.stdout.splitlines()[0] == "True 0 {'greeting': 'Ada'} 'hello\\n'", told.stderr
    finally:
        docker_engine.remove_container(made)
        docker_engine.remove_image("gyoza-test/greet:1")
    assert docker_engine.containers(all=True, filters={"label": f"{Label.RUN}=run_abc123"}) == []


def test_a_failing_run_in_a_plain_script(tmp_path: Path, ops: dict[str, str]) -> None:
    told = _script(_RUN.replace("Ada", "Bob"), tmp_path, **ops)
    assert told.stdout.splitlines()[0] == "True 4 {} 'hello Bob\\n'", told.stderr


def test_a_script_reports_to_the_server_when_there_is_one(tmp_path: Path, ops: dict[str, str]) -> None:
    with ServerThread(tmp_path / "server.db") as server:
        env = ops | {"GYOZA_SERVER_URL": server.url, "GYOZA_API_KEY": "test-key"}
        told = _script(_RUN, tmp_path, **env)
        assert told.stdout.startswith("True 0"), told.stderr
        assert "running without it" in told.stderr, "the server does not know that run"


def test_steps_of_ones_own() -> None:
    """A step is any callable; one marked `always` runs whatever happened; what is raised comes out."""

    seen: list[str] = []

    def one(ctx: ExecutionContext) -> ExecutionContext:
        seen.append("one")
        ctx.extras["one"] = 1
        return ctx

    def broken(ctx: ExecutionContext) -> ExecutionContext:
        raise ZeroDivisionError("broken")

    @always
    def tidy(ctx: ExecutionContext) -> ExecutionContext:
        seen.append("tidy")
        return ctx

    ctx = ExecutionContext(image="local://none")
    with pytest.raises(ZeroDivisionError):
        Pipeline([one, broken, one, tidy]).run(ctx)
    assert seen == ["one", "tidy"]
    assert ctx.extras["one"] == 1


def test_steps_run_without_an_image(tmp_path: Path) -> None:
    done = _script(_STEPS, tmp_path)
    assert done.stdout == "[1, 2] []\n", done.stderr


def test_a_step_that_raises_fails_the_servers_run_without_an_image_too(tmp_path: Path) -> None:
    with ServerThread(tmp_path / "server.db") as server:
        run_id = server.client.create_run("an-image").id
        server.client.heartbeat(worker_id="script", resources={"cpu_cores": 1, "ram_mb": 1}, backends=["docker"])
        assert [run.id for run in server.client.claim("script", ClaimRequest()).runs] == [run_id]
        env = {"GYOZA_SERVER_URL": server.url, "GYOZA_API_KEY": KEY, "GYOZA_WORKER_ID": "script", "RUN": run_id}
        done = _script(_BROKEN_STEP, tmp_path, **env)
        assert done.stdout == "raised\n", done.stderr
        attempt = server.client.get_run(run_id).attempts[0]
        assert (attempt.state, attempt.execution_summary.error_message) == ("FAILED", "ZeroDivisionError: broken")


def test_a_step_that_calls_exit_ends_its_run_and_nothing_else() -> None:
    tidied = []

    def leaves(ctx: ExecutionContext) -> ExecutionContext:
        sys.exit(3)

    @always
    def tidy(ctx: ExecutionContext) -> ExecutionContext:
        tidied.append(ctx)
        return ctx

    with pytest.raises(StepExited, match="leaves"):
        Pipeline([leaves, tidy]).run(ExecutionContext(image="local://none"))
    assert len(tidied) == 1
