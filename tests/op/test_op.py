"""`gyoza_tui/op.py` as an author has it: copied beside an op, under gyoza and by hand."""

from __future__ import annotations

import ast
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gyoza_tui.op
from gyoza_tui.worker.execution_pipeline.op_files import input_files, path_variables
from gyoza_tui.worker.op_output.event_lines import parse_event

OP = Path(gyoza_tui.op.__file__)
OLDEST = (3, 8)
HEAD = "from gyoza_op import error, info, inputs, op, outputs, progress\n"


class Author:
    """A directory with the copied file and an op beside it."""

    def __init__(self, root: Path, text: str) -> None:
        self.root = root
        shutil.copy(OP, root / "gyoza_op.py")
        (root / "my_op.py").write_text(HEAD + text)

    def by_hand(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._ran({}, arguments)

    def under_gyoza(self, given: dict[str, Any], *kinds: str) -> subprocess.CompletedProcess[str]:
        """`kinds`: JSON, PATH (pickles) or both, as a worker has them."""
        for name, data in input_files(given).items():
            (self.root / name).write_bytes(data)
        variables = path_variables(str(self.root))
        return self._ran({k: v for k, v in variables.items() if not kinds or k.endswith(kinds)}, ())

    def _ran(self, variables: dict[str, str], arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "my_op.py", *arguments]
        return subprocess.run(
            argv, cwd=self.root, env=variables, capture_output=True, text=True, check=False, timeout=30
        )


def events(text: str) -> list[tuple[str, Any, Any]]:
    """What the worker reads out of that stdout."""
    found = [event for line in text.splitlines() if (event := parse_event(line.encode()))]
    return [(event.type.value, event.msg, event.payload) for event in found]


CLASSIFY = """
from typing import List, Optional

@op
def classify(image_path: str, top_k: int = 3, rate: float = 0.5, tags: List[str] = (), deep: Optional[bool] = None,
             box: dict = {}, seed=7, free=None):
    progress(50)
    return dict(image_path=image_path, top_k=top_k, rate=rate, tags=tags, deep=deep, box=box, seed=seed, free=free)

if __name__ == "__main__":
    classify.run()
"""


def test_it_needs_nothing_and_is_python_of_the_oldest() -> None:
    tree = ast.parse(OP.read_text(), feature_version=OLDEST)
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names) | {"collections.abc"}
    assert "__future__" in imported, "annotations such as `dict[str, Any] | None` are never evaluated"


def test_by_hand_the_arguments_are_typed_and_the_outputs_printed(tmp_path: Path) -> None:
    said = Author(tmp_path, CLASSIFY).by_hand(
        "image_path=3", "top_k=5", "rate=2", 'tags=["a"]', "deep=true", 'box={"x": 1}', "seed=8", "free=a=b"
    )
    assert said.returncode == 0
    assert json.loads(said.stdout) == {
        "image_path": "3", "top_k": 5, "rate": 2.0, "tags": ["a"], "deep": True, "box": {"x": 1}, "seed": 8,
        "free": "a=b",
    }  # fmt: skip
    assert said.stderr == "50%\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "the input image_path is missing. Inputs of classify: image_path [top_k=3]"),
        (("image_path=a", "top=3", "k=4"), "'top' is not an input; 'k' is not an input."),
        (("top_k=three", "rate=x"), "top_k must be an int, not 'three'; rate must be a number, not 'x'\n"),
        (("deep=1", "box=[1]"), "deep must be true or false, not '1'; box must be a JSON object, not '[1]'\n"),
        (("a.jpg",), "'a.jpg': write an input as name=value"),
    ],
)
def test_by_hand_all_faults_are_told(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    said = Author(tmp_path, CLASSIFY).by_hand(*arguments)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith(f"ERROR {words}")
    assert "Traceback" not in said.stderr


def test_annotations_that_cannot_be_looked_up_are_no_matter(tmp_path: Path) -> None:
    """As `int | None` on an old Python."""
    header = "def take(n: 'Unknown' = 3, t: 'int | Unknown' = 'x'):"
    author = Author(tmp_path, f"@op\n{header}\n    return {{'n': n, 't': t}}\n\ntake.run()\n")
    assert json.loads(author.by_hand("n=4", "t=5").stdout) == {"n": 4, "t": "5"}
    assert author.by_hand("n=x").stderr == "ERROR n must be an int, not 'x'\n"


def test_under_gyoza_files_are_read_and_written(tmp_path: Path) -> None:
    said = Author(tmp_path, CLASSIFY).under_gyoza({"image_path": "ä.jpg", "top_k": 2})
    assert said.returncode == 0, said.stderr
    assert events(said.stdout) == [("PROGRESS", 50, None)]
    assert json.loads((tmp_path / "output.json").read_text())["image_path"] == "ä.jpg"
    assert not list(tmp_path.glob("*.part"))


def test_a_worker_that_knows_pickles_only(tmp_path: Path) -> None:
    said = Author(tmp_path, CLASSIFY).under_gyoza({"image_path": "a", "tags": ["x"]}, "PATH")
    assert said.returncode == 0, said.stderr
    assert pickle.loads((tmp_path / "output.pkl").read_bytes())["tags"] == ["x"]
    assert not (tmp_path / "output.json").exists()


def test_inputs_that_do_not_fit_are_told_as_an_error(tmp_path: Path) -> None:
    said = Author(tmp_path, CLASSIFY).under_gyoza({"top": 2})
    assert said.returncode == 1
    [(kind, words, _)] = events(said.stdout)
    assert kind == "ERROR"
    assert words.startswith("the input image_path is missing; 'top' is not an input")


def test_an_exception_is_an_error_a_traceback_and_exit_code_1(tmp_path: Path) -> None:
    author = Author(tmp_path, "@op\ndef bad():\n    return load()\n\ndef load():\n    raise ValueError('x' * 5000)\n"
                    "\nbad.run()\n")  # fmt: skip
    said = author.under_gyoza({})
    assert said.returncode == 1
    assert events(said.stdout) == [("ERROR", "ValueError: " + "x" * 1988, None)]
    assert said.stderr.startswith(f'Traceback (most recent call last):\n  File "{tmp_path / "my_op.py"}"')
    assert said.stderr.splitlines()[-1] == "ValueError: " + "x" * 5000
    assert "gyoza_op.py" not in said.stderr, "the author's frames only"
    assert not (tmp_path / "output.json").exists()


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("[1]", "TypeError: bad must return a dict of outputs or None, not list"),
        ("{'a': {1, 2}}", "TypeError: the output 'a' cannot be written as JSON: set is not a JSON type"),
        ("{'a': b''}", "TypeError: the output 'a' cannot be written as JSON: bytes is not a JSON type"),
    ],
)
def test_outputs_that_cannot_be_given(tmp_path: Path, returned: str, words: str) -> None:
    said = Author(tmp_path, f"@op\ndef bad():\n    return {returned}\n\nbad.run()\n").under_gyoza({})
    assert said.returncode == 1
    assert events(said.stdout) == [("ERROR", words, None)]


def test_an_exit_of_the_authors_own_stays(tmp_path: Path) -> None:
    said = Author(tmp_path, "@op\ndef stop():\n    raise SystemExit(7)\n\nstop.run()\n").under_gyoza({})
    assert (said.returncode, said.stdout, said.stderr) == (7, "", "")


def test_outputs_add_up_and_take_what_numpy_has(tmp_path: Path) -> None:
    author = Author(tmp_path, """
import pathlib

class Array:
    def tolist(self):
        return [1, 2]

outputs(a=1, b=2)
outputs(b=Array(), c=pathlib.Path("x"), d=float("nan"))
""")  # fmt: skip
    assert author.under_gyoza({}).returncode == 0
    assert (tmp_path / "output.json").read_text() == '{"a": 1, "b": [1, 2], "c": "x", "d": NaN}', (
        "the worker tells of NaN"
    )


def test_events_are_lines_that_the_worker_reads(tmp_path: Path) -> None:
    author = Author(tmp_path, """
for i in range(1001):
    progress(i / 10)
progress(-3)
progress(300, loss=float("inf"))
info("two\\nlines", where=object, keys={(1, 2): 3})
error("no \\ud800 good", code=3)
print(inputs())
""")  # fmt: skip
    said = author.under_gyoza({"n": 1})
    assert said.returncode == 0, said.stderr
    told = events(said.stdout)
    assert [msg for kind, msg, _ in told if kind == "PROGRESS"] == [*range(101), 0, 100]
    assert told[-3:] == [
        ("PROGRESS", 100, {"loss": None}),
        ("INFO", "two\nlines", {"where": "<class 'object'>", "keys": {}}),
        ("ERROR", "no \ufffd\ufffd\ufffd good", {"code": 3}),
    ]
    assert said.stdout.endswith("{'n': 1}\n")


def test_by_hand_a_script_without_a_function(tmp_path: Path) -> None:
    author = Author(tmp_path, "given = inputs()\ninfo('begun', n=given['n'])\noutputs(twice=2 * given['n'])\n")
    said = author.by_hand("n=21", "text=x")
    assert (said.returncode, said.stdout, said.stderr) == (0, '{"twice": 42}\n', "INFO begun n=21\n")


def test_an_op_is_still_a_function(tmp_path: Path) -> None:
    @gyoza_tui.op.op
    def double(n: int) -> dict[str, int]:
        """Twice n."""
        return {"twice": 2 * n}

    assert double(4) == {"twice": 8}
    assert (double.__name__, double.__doc__) == ("double", "Twice n.")
