"""The demo of `--local --demo`: four runs, watched to their ends, told in a table."""

from __future__ import annotations

import json
import re
import secrets
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from gyoza_tui import __version__
from gyoza_tui.cli.embedded_server.demo_image import DEMO, NoImage, ensure
from gyoza_tui.cli.failures import ExitCode
from gyoza_tui.cli.printing import run_words
from gyoza_tui.cli.terminal import Times, out, out_json, say
from gyoza_tui.client.answers import Meaning, meaning, words
from gyoza_tui.models.definitions import InputSpec, OpDefinition
from gyoza_tui.models.failures import FailureReason
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.server_access import client_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.runner import Worker
    from gyoza_tui.worker.state_dir.state_dir import StateDir

POLL_S: Final = 0.3
_SESSION: Final = re.compile(r"[0-9a-f]{8}")


class DemoOp(NamedTuple):
    name: str
    inputs: dict[str, Any]
    fails: bool = False


OPS: Final = (
    DemoOp("train", {"epochs": 60, "rate": 0.3, "seed": 7, "pause_s": 0.15}),
    DemoOp("chat", {"lines": 5000, "pause_s": 0.3}),
    DemoOp("fail", {}, fails=True),
    DemoOp("join", {"prefix": "gyoza", "names": ["pork", "leek", "shrimp"]}),
)


class Demo:
    """One session of four runs with fixed ids, so that whoever was killed in it goes on with it."""

    def __init__(self, settings: Settings, state_dir: StateDir, tell: Callable[[str], None]) -> None:
        self._client = client_of(settings)
        self._session_file = state_dir.root / "demo-session"
        self._tell = tell
        self._ended: list[OpRun] = []
        self._broken = False
        self._log_format = settings.log_format
        try:
            self._image: str | None = ensure()
            self.own_settings: dict[str, Any] = {"pull_policy": "missing", "docker_network": "none"}
        except NoImage as why:
            tell(f"the demo runs as commands of this machine: {why}")
            self._image = None
            self.own_settings = {"ops_file": _ops_file(state_dir.root)}

    def begin(self, worker: Worker, *, drains: bool) -> None:
        """Submit and watch in a thread of its own; the worker drains when the last run has ended, if it shall."""
        threading.Thread(target=self._play, args=(worker, drains), name="demo", daemon=True).start()

    def end(self, worker_code: int) -> int:
        """Print the table; the exit code: whether the demo ended as it should, or the worker's if it was stopped."""
        from gyoza_tui.cli.printing.run_table import run_lines

        if self._broken:
            return ExitCode.FAILED
        if not self._ended:
            return worker_code
        if self._log_format == "json":
            out_json([run_words.as_json(run) for run in self._ended])
        else:
            out()
            for line in run_lines(self._ended, Times()):
                out(line)
        if worker_code == ExitCode.DONE and all(map(_as_it_should, OPS, self._ended)):
            return ExitCode.DONE
        say("gyoza-tui: the demo did not end as it should: three COMPLETED, and one FAILED by its own exit code")
        return ExitCode.FAILED

    def _play(self, worker: Worker, drains: bool) -> None:
        from gyoza_tui.worker.view.control import Ending

        try:
            self._ended = self._watched(self._session())
            self._session_file.unlink(missing_ok=True)
        except (httpx.HTTPError, OSError) as error:
            why = words(error) if isinstance(error, httpx.HTTPError) else error.strerror or str(error)
            self._tell(f"the demo, whose session is in {self._session_file}, cannot go on: {why}")
            self._broken = True
        if drains:
            worker.control.end(Ending.DRAIN)

    def _watched(self, session: str) -> list[OpRun]:
        """The runs at their ends."""
        runs: list[OpRun | None] = [None] * len(OPS)
        pause = threading.Event()
        while not all(run is not None and run.state.terminal for run in runs):
            for i, op in enumerate(OPS):
                known = runs[i]
                if known is None or not known.state.terminal:
                    runs[i] = self._looked_up(op, session) or known
            pause.wait(POLL_S)
        return [run for run in runs if run is not None]

    def _session(self) -> str:
        """That of a demo which was stopped or killed before its end, else a new one."""
        if self._session_file.exists():
            known = self._session_file.read_text(errors="replace").strip()
            if _SESSION.fullmatch(known):
                return known
        session = secrets.token_hex(4)
        self._session_file.write_text(session + "\n")
        return session

    def _looked_up(self, op: DemoOp, session: str) -> OpRun | None:
        """The op's run, submitted when it is not there; None while the server is away."""
        try:
            return self._known(op, session) or self._submitted(op, session)
        except httpx.HTTPError as error:
            if meaning(error) is not Meaning.SERVER_FAULT:
                raise
            return None

    def _known(self, op: DemoOp, session: str) -> OpRun | None:
        try:
            return self._client.get_run(f"{op.name}-{session}")
        except httpx.HTTPStatusError as error:
            if error.response.status_code == 404:
                return None
            raise

    def _submitted(self, op: DemoOp, session: str) -> OpRun:
        image, command = self._image or f"local://demo-{op.name}", [f"/demo/{op.name}.py"] if self._image else None
        specs = {name: InputSpec() for name in op.inputs}
        definition = OpDefinition(id=op.name, version=__version__, image=image, command=command, input_specs=specs)
        self._client.upsert_definition(definition)
        return self._client.create_run_from_definition(
            op.name, op.inputs, version=__version__, id=f"{op.name}-{session}"
        )


def _as_it_should(op: DemoOp, run: OpRun) -> bool:
    from gyoza_tui.cli.printing.run_words import failure

    if not op.fails:
        return run.state is RunState.COMPLETED and bool(run.outputs)
    fault = failure(run.events)
    return run.state is RunState.FAILED and fault is not None and fault.reason is FailureReason.OP_ERROR


def _ops_file(root: Path) -> Path:
    """The demo's ops as commands of this machine."""
    path = root / "demo-ops.toml"
    sections = []
    for op in OPS:
        words = [_literal(word) for word in (sys.executable, "-I", str(DEMO / f"{op.name}.py"))]
        sections.append(f"[ops.demo-{op.name}]\ncommand = {json.dumps(words, ensure_ascii=False)}\n")
    path.write_text("\n".join(sections))
    return path


def _literal(word: str) -> str:
    """As a template that gives the word."""
    return word.replace("{", "{{").replace("}", "}}")
