"""Every verb with every flag and every setting, each with values that nobody in their right mind would give."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.settings import PREFIX, Settings
from tests.cli.conftest import Said, Verb
from tests.commands import installed

VALUES = [
    "",
    " ",
    "\n",
    "\x1b[2J\x1b]52;c;aGk=\x07",
    "\u202eevil",
    "\udcff\udc80",
    "../../../etc/passwd",
    "/dev/null",
    "/proc/self/mem",
    "/proc/1/root/nothing/there",
    "~nobody-of-that-name/x",
    "x" * 100_000,
    "$(touch pwned)",
    "; rm -rf /",
    "%s%n%x",
    "{0.__class__}",
    "[/red][link=file:///]",
    "NaN",
    "-1",
    "1e999",
    "9" * 5000,
    "[" * 100_000,
    "http://",
    "http://user:pw@127.0.0.1:1",
    "😀=1",
]
FEW = ["", "\x1b[2J\x1b]52;c;aGk=\x07", "\udcff\udc80", "../../../etc/passwd", "x" * 100_000, "9" * 5000, "-1"]
amounts = pytest.mark.parametrize(
    "values", [pytest.param(FEW, id="few"), pytest.param(VALUES, id="all", marks=[pytest.mark.long])]
)
IN_FILES = ["", "\x1b[2J\x07", "\udcff", "~nobody-of-that-name/x", "9" * 5000, "'"]
NOWHERE = "http://127.0.0.1:1"
CONNECTION = ("--server", "--api-key-file", "--state-dir", "--worker-id")
FLAGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # verb: (arguments before the flag's, flags)
    "": (
        ("--no-ui",),
        (
            "--server",
            "--worker-id",
            "--state-dir",
            "--max-runs",
            "--tags",
            "--ops-file",
            "--log-format",
            "--api-key-file",
            "--wrong",
        ),
    ),
    "serve": (("serve",), ("--host", "--port", "--database", "--api-key-file", "--wrong")),
    "submit": (
        ("submit", "busybox", "--server", NOWHERE),
        ("-i", "--inputs", "--server", "--api-key-file", "--state-dir", "--worker-id", "--wrong", "--"),
    ),
    "runs": (
        ("runs", "--server", NOWHERE),
        ("--limit", "--state", "--definition", "--worker", "--topic", "--since", *CONNECTION),
    ),
    "show": (("show", "a", "--server", NOWHERE), CONNECTION),
    "logs": (
        ("logs", "a", "--server", NOWHERE),
        ("--tail", "--since", "--grep", "--attempt", *CONNECTION),
    ),
    "cancel": (("cancel", "a", "--server", NOWHERE), CONNECTION),
    "retry": (("retry", "--server", NOWHERE), ("--state", "--definition", "--worker", "--topic", "--since")),
    "events": (("events", "--topic", "t", "--server", NOWHERE), ("--topic", "--after")),
}
ARGUMENTS = ["submit", "runs", "show", "logs", "cancel", "retry", "priority", "workers", "definitions"]
PAIRS = [(verb, flag) for verb, (_, flags) in FLAGS.items() for flag in flags]
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Ended(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@pytest.fixture(autouse=True)
def _nothing_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker or server that would start does not: everything before that is real."""

    def ended(code: int) -> None:
        raise Ended(code)

    async def served(*_: Any, **__: Any) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("gyoza_tui.worker.runner.Worker.run", lambda _self: 0)
    monkeypatch.setattr("gyoza_tui.server.launch._Server.serve", served)
    monkeypatch.setattr("gyoza_tui.cli.worker.os._exit", ended)
    monkeypatch.setattr("gyoza_tui.cli.worker.signal.signal", lambda *_: None)


def judge(said: Said, what: str) -> None:
    assert said.code in (0, 1, 2, 3), what
    assert "Traceback" not in said.err, what
    assert not _CONTROL.search(said.err), what
    assert max(map(len, said.err.splitlines()), default=0) <= 1000, what
    if said.code:
        assert said.err.startswith(("gyoza-tui: ", "warning: ")), what
        assert said.out == "", what


def called(verb: Verb, capsys: pytest.CaptureFixture[str], *arguments: str) -> Said:
    try:
        return verb(*arguments)
    except Ended as end:
        return Said(end.code, *capsys.readouterr())


@amounts
@pytest.mark.parametrize(("name", "flag"), PAIRS)
def test_a_flag(name: str, flag: str, values: list[str], verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    before, _ = FLAGS[name]
    for value in values:
        said = called(verb, capsys, *before, flag, value)
        judge(said, f"{name} {flag} {value[:40]!a}: {said}")
    assert not Path("pwned").exists()


@amounts
@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument(name: str, values: list[str], verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    for value in values:
        said = called(verb, capsys, name, "--server", NOWHERE, "--", value)
        judge(said, f"{name} {value[:40]!a}: {said}")
        assert said.code in (2, 3), f"{name} {value[:40]!a}: {said}"


@amounts
@pytest.mark.parametrize("setting", list(Settings.model_fields))
def test_a_setting_in_the_environment(
    setting: str, values: list[str], verb: Verb, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in values:
        if setting == "server_url" and not value.strip():
            continue  # as good as unset: whatever serves on this machine would be asked
        monkeypatch.setenv(PREFIX + setting.upper(), value)
        said = called(verb, capsys, "runs", *(() if setting == "server_url" else ("--server", NOWHERE)))
        judge(said, f"{setting} {value[:40]!a}: {said}")
        assert said.code in (2, 3), f"{setting} {value[:40]!a}: {said}"


@pytest.mark.parametrize("setting", list(Settings.model_fields))
def test_a_setting_in_the_files(setting: str, verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    for value in IN_FILES:
        files = {"named.env": f"{PREFIX}{setting.upper()}='{value}'\n", "config.toml": f"{setting} = '{value}'\n"}
        for name, text in files.items():
            Path("named.env").touch()
            Path(name).write_bytes(text.encode("utf-8", "surrogateescape"))
            said = called(verb, capsys, "runs", "--server", NOWHERE, "--env-file", "named.env")
            Path(name).unlink()
            judge(said, f"{name} {setting} {value[:40]!a}: {said}")


SENTENCES = {
    "": ["--no-ui", "--max-runs", "many"],
    "serve": ["serve", "--port", "99999"],
    "submit": ["submit", "UPPER CASE"],
    "runs": ["runs", "--limit", "0"],
    "show": ["show", ".."],
    "logs": ["logs", "\x1b[2J"],
    "cancel": ["cancel", "", "x"],
    "retry": ["retry", "state:done"],
    "priority": ["priority", "x", "high"],
    "workers": ["workers", "a", "b"],
    "definitions": ["definitions", "--wrong"],
    "events": ["events"],
    "freeze": ["freeze"],
    "thaw": ["thaw", "state:done"],
    "hold": ["hold"],
    "unhold": ["unhold", "a1", "op:x"],
    "release": ["release", "state:done"],
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_process_of_each_verb_refuses_in_words(name: str, tmp_path: Path) -> None:
    done = installed(tmp_path, *SENTENCES[name])
    judge(Said(done.returncode, done.stdout, done.stderr), name)
    assert done.returncode == 2
    assert os.listdir(tmp_path) == ["config.toml"], "nothing is half done"
