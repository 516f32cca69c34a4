"""The owner's list of ops: read strictly, all its faults at once; what a run may and may not bring to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.backends.local.environment import refused
from gyoza_tui.backends.local.ops import LocalOpsError, read_ops
from gyoza_tui.models.nested import MaySubmit


def faults(tmp_path: Path, text: str | bytes) -> list[str]:
    path = tmp_path / "ops.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LocalOpsError) as caught:
        read_ops(path)
    return [fault.removeprefix(str(path)) for fault in caught.value.faults]


def test_templates_are_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "ops.toml"
    path.write_text(
        '[ops.train]\ncommand = ["{python}", "--gpu={gpu}", "{{literal}}", "{run_dir}/x"]\n'
        'cwd = "{home}"\nenv = { A = "{worker_id}-{python}" }\nvars = { python = "/usr/bin/python3", home = "/" }\n'
    )
    op = read_ops(path)["train"]
    values = {"run_dir": "/r {python}", "gpu": "1", "worker_id": "w"}
    assert [op.render(arg, values) for arg in op.command] == [
        "/usr/bin/python3", "--gpu=1", "{literal}", "/r {python}/x",
    ]  # fmt: skip
    assert op.render(op.env["A"], values) == "w-/usr/bin/python3"
    assert op.digest != read_ops(_changed(path))["train"].digest


def _changed(path: Path) -> Path:
    path.write_text(path.read_text().replace("python3", "python4"))
    return path


def test_all_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    text = """
top = 1
[ops.a]
command = []
colour = "red"
[ops.b]
command = ["x", "{unknown}", "}"]
env = { "1BAD" = "x", GOOD = 5 }
cwd = "relative"
[ops.b.vars]
gpu = "mine"
"no dash" = "x"
[ops."../evil"]
command = ["x"]
[ops.c]
command = "a string"
[ops.d]
env = "x"
command = ["  ", "\\u0000"]
[ops.e]
"""
    told = faults(tmp_path, text)
    expected = [
        (":2: ", "'top' is not known"),
        (":5: ", "'colour' is not known"),
        (":4: ", "command must be a list"),
        (":8: ", "env.GOOD must be text, not int"),
        (":9: ", "cwd must be an absolute path"),
        (":8: ", "'1BAD' cannot name an environment variable"),
        (":11: ", "gpu is ours"),
        (":12: ", "'no dash' cannot name a var"),
        (":7: ", "{unknown} is not known; there is gpu, "),
        (":7: ", "a single }"),
        ("", "'../evil' cannot name an op"),
        (":16: ", "command must be a list"),
        (":18: ", "env must be a table"),
        (":19: ", "command begins with an empty text"),
        (":19: ", "NUL"),
        (":20: ", "command must be a list"),
    ]
    for place, words in expected:
        assert any(fault.startswith(place) and words in fault for fault in told), (place, words, told)
    assert len(told) == len(expected), told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ops.a\ncommand = 1", "line 1, column 7"),
        ("x = = 1", "line 1, column 5"),
        (b"\xff", "byte 0 is not UTF-8"),
        ("ops = 3", "ops must be a table"),
        ("[ops]\na = 1", "ops.a must be a table"),
        ("a = " + "[" * 100_000, "nested too deep"),
        ("# " + "x" * 2_000_000, "larger than"),
    ],
    ids=["table", "value", "utf8", "ops", "entry", "deep", "big"],
)
def test_a_file_that_is_no_list_is_told_in_words(tmp_path: Path, text: str | bytes, words: str) -> None:
    assert words in faults(tmp_path, text)[0]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalOpsError, match="No such file"):
        read_ops(tmp_path / "none.toml")


def test_an_empty_list_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "ops.toml").write_text("")
    assert read_ops(tmp_path / "ops.toml") == {}


def test_variables_that_choose_the_code_are_refused() -> None:
    evil = ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONSTARTUP", "BASH_ENV", "ENV", "IFS", "HOME"]
    evil += ["BASH_FUNC_ls", "GLIBC_TUNABLES", "NODE_OPTIONS", "PERL5LIB", "RUBYOPT", "JAVA_TOOL_OPTIONS", "GIT_SSH"]
    evil += ["CUDA_VISIBLE_DEVICES", "CUDA_INJECTION64_PATH", "GYOZA_MARK", "GCONV_PATH", "LD_AUDIT"]
    assert refused(evil) == tuple(sorted(evil))
    assert (
        refused(["GYOZA_INPUT_PATH", "LR", "DATA_PATH", "NODE_RANK", "NCCL_DEBUG", "OMP_NUM_THREADS", "ENVIRON"]) == ()
    )


def test_what_the_runs_of_an_op_may_create(tmp_path: Path) -> None:
    file = tmp_path / "ops.toml"
    file.write_text('[ops.a]\ncommand = ["a"]\n[ops.b]\ncommand = ["b"]\nmay_submit = "any"\n')
    ops = read_ops(file)
    assert (ops["a"].may_submit, ops["b"].may_submit) == (MaySubmit.DEFINITIONS, MaySubmit.ANY)
    for wrong in ('"all"', "true", "[]"):
        file.write_text(f'[ops.a]\ncommand = ["a"]\nmay_submit = {wrong}\n')
        with pytest.raises(LocalOpsError) as faults:
            read_ops(file)
        assert faults.value.faults == [f"{file}:3: ops.a: may_submit must be no, definitions, any"]
