"""`init`: the files of a new op."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from string import Template
from typing import Annotated, Final

import typer

from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import CliError, usage
from gyoza_tui.cli.verbs.run import OPS, image_name

EXAMPLES = examples("gyoza-tui init my-op", "gyoza-tui init my-op --no-docker")
_ROOT: Final = Path(__file__).parents[2]
_TEMPLATES: Final = _ROOT / "op_template"
_HELPER: Final = "gyoza_op.py"
_ALWAYS: Final = {"op.py": "op.py.txt", "gyoza.yml": "gyoza.yml", "test_op.py": "test_op.py.txt"}
_DOCKER: Final = {"Dockerfile": "Dockerfile"}
_NO_DOCKER: Final = {OPS: "ops.toml"}


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Made if it is not there.", show_default=False)],
    no_docker: Annotated[
        bool, typer.Option("--no-docker", help="As a command of machines that have no Docker: local://NAME.")
    ] = False,
) -> None:
    """Write an op that builds, runs and deploys: op.py, gyoza.yml, a test, and a Dockerfile.

    It writes over nothing. The file gyoza_op.py, by which op.py meets gyoza, needs nothing but Python 3.8.
    """
    from gyoza_tui.cli import terminal
    from gyoza_tui.models.text import visible

    home = directory.resolve()
    try:
        str(home).encode()
    except UnicodeEncodeError:
        raise usage(f"{str(directory)!a} is no text in UTF-8: choose another directory") from None
    files = _rendered(home, no_docker=no_docker)
    if there := sorted(name for name in [*files, _HELPER] if (home / name).exists()):
        raise usage(f"{directory} has {', '.join(there)} already: nothing is written over; choose another directory")
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (home / name).write_text(text)
        shutil.copyfile(_ROOT / "op.py", home / _HELPER)
    except OSError as error:
        raise CliError(f"{directory} cannot be written: {error.strerror}") from None
    for name in sorted([*files, _HELPER]):
        terminal.out(visible(directory / name))
    terminal.hint(shlex.join(["run", str(directory), "text=hello"]))
    if no_docker:
        terminal.hint(shlex.join(["--ops-file", str(directory / OPS)]), "for a worker with it")


def _rendered(home: Path, *, no_docker: bool) -> dict[str, str]:
    """The files' texts by their names."""
    name = image_name(home.name)
    command = ["python3", str(home / "op.py").replace("{", "{{").replace("}", "}}")]
    words = {
        "name": name,
        "image": f"local://{name}" if no_docker else f"{name}:1",
        "command": json.dumps(command, ensure_ascii=False),
    }
    chosen = _ALWAYS | (_NO_DOCKER if no_docker else _DOCKER)
    return {to: Template((_TEMPLATES / source).read_text()).substitute(words) for to, source in chosen.items()}
