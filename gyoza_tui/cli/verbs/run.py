"""`run`: an op once through the real pipeline on this machine, without a server."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import usage
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.inputs import Given
from gyoza_tui.cli.flags.with_command import behind

if TYPE_CHECKING:
    from gyoza_tui.models.definitions import OpDefinition
    from gyoza_tui.models.runs import OpRun

EXAMPLES = examples(
    "gyoza-tui run my-op text=hello times=2",
    "gyoza-tui run text=hello",
    "gyoza-tui run busybox n=3 -- cat /gyoza/input.json",
    "gyoza-tui run my-op --inputs inputs.json --json",
)
OPS = "ops.toml"
"""In an op's directory: its command for machines without Docker."""


@dataclass(frozen=True)
class Subject:
    """What is to be run."""

    fields: dict[str, Any]
    """Of an OpRun, but for its inputs."""
    inputs: Callable[[Given], dict[str, Any]]
    """What was typed as the op takes it."""
    settings: dict[str, Any]
    """Over those of this machine."""


def run(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR|IMAGE] K=V",
            help="A directory with a gyoza.yml or a Dockerfile, by default this one, or an image; then inputs.",
            show_default=False,
        ),
    ] = None,
    inputs: options.InputsFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Run an op once on this machine, as a worker does it, but without a server; prints its log, outputs and time.

    A directory's Dockerfile is built first. The first Ctrl-C stops the op, the second kills it. Exit code 0 if it
    COMPLETED. With --json the log goes to stderr, and the run is printed as a server would tell it.
    """
    from gyoza_tui.cli import connection
    from gyoza_tui.cli.flags.inputs import given
    from gyoza_tui.cli.try_op import one_run

    target, pairs = _target(words or [])
    typed = given(pairs, inputs)
    subject = _directory(Path(target), behind(ctx)) if Path(target).is_dir() else _image(target, behind(ctx))
    flags = ctx.obj or Connection()
    settings = connection.loaded(flags).model_copy(update=subject.settings)
    one_run.tell(one_run.carry_out(_prepared(subject, typed), settings, as_json=as_json), as_json=as_json)


def _target(words: list[str]) -> tuple[str, list[str]]:
    """No image's name holds a `=`."""
    if words and ("=" not in words[0] or Path(words[0]).is_dir()):
        return words[0], words[1:]
    return ".", words


def _prepared(subject: Subject, typed: Given) -> OpRun:
    import uuid

    from pydantic import ValidationError

    from gyoza_tui.models.runs import OpRun, RunRequest

    fields = subject.fields | {"inputs": subject.inputs(typed)}
    try:
        RunRequest(**fields)
    except ValidationError as error:
        raise usage("\n".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from None
    return OpRun(id=f"try-{uuid.uuid4().hex[:8]}", attempt=1, **fields)


def _image(image: str, command: list[str] | None) -> Subject:
    from gyoza_tui.models.images import ImageRef

    try:
        ImageRef.parse(image)
    except ValueError as error:
        raise usage(f"there is no such directory, and {error}") from None
    return Subject({"image": image, "command": command}, Given.untyped, {})


def _directory(directory: Path, command: list[str] | None) -> Subject:
    """Its image is built if there is a Dockerfile."""
    from gyoza_tui.cli.try_op.image_build import build
    from gyoza_tui.cli.try_op.op_file import NAME

    has_dockerfile = (directory / "Dockerfile").is_file()
    if (directory / NAME).is_file():
        definition = _only_one(directory / NAME)
        subject = _defined(definition, command, directory)
    elif has_dockerfile:
        subject = _image(f"gyoza-try-{image_name(directory.resolve().name)}", command)
    else:
        raise usage(f"{directory} has neither {NAME} nor a Dockerfile; `gyoza-tui init DIR` writes an op with both")
    image = subject.fields["image"]
    if has_dockerfile and "://" not in image:
        build(directory, image)
        return Subject(subject.fields, subject.inputs, subject.settings | {"pull_policy": "never"})
    return subject


def _only_one(file: Path) -> OpDefinition:
    from gyoza_tui.cli.try_op.op_file import read_definitions

    definitions = read_definitions(file)
    if len(definitions) > 1:
        names = ", ".join(each.id for each in definitions)
        raise usage(f"{file} holds {len(definitions)} definitions ({names}): `run` takes a directory with one op")
    return definitions[0]


def _defined(definition: OpDefinition, command: list[str] | None, directory: Path) -> Subject:
    from gyoza_tui.models.definitions import fit_inputs

    fields = {name: getattr(definition, name) for name in _SHARED}
    fields |= {"op_definition": definition.id, "op_version": definition.version}
    if command is not None:
        fields["command"] = command
    ops = directory / OPS
    own_ops = {"ops_file": ops.resolve()} if definition.image.startswith("local://") and ops.is_file() else {}
    return Subject(fields, lambda typed: fit_inputs(definition, typed.fitted(definition)), own_ops)


_SHARED = ("image", "constraints", "command", "env", "secret_env", "volumes", "timeout_s", "tags")
"""What a definition says of its runs, as far as it matters without a server."""


def image_name(text: str) -> str:
    """As much of the text as can name an op and its image: lower case, at most 60 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "op"
