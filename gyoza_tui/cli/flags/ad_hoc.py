"""The flags of an ad hoc run: what a definition would say of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeVar

import typer

from gyoza_tui.cli.failures import usage
from gyoza_tui.models import durations, sizes
from gyoza_tui.models.nested import MaySubmit

_T = TypeVar("_T")

Cpu = Annotated[float | None, typer.Option(metavar="N", help="Cores: 2, 0.5.")]
Ram = Annotated[str | None, typer.Option(metavar="SIZE", help="Memory: 512 (MiB), 512m, 4g.")]
Vram = Annotated[str | None, typer.Option(metavar="SIZE", help="Memory of one GPU.")]
Gpu = Annotated[int | None, typer.Option(metavar="I", help="The GPU of that index; all of it without --vram.")]
Tag = Annotated[list[str] | None, typer.Option(metavar="T", help="Only on workers with it. Repeatable.")]
Env = Annotated[list[str] | None, typer.Option(metavar="K=V", help="For the op's environment. Repeatable.")]
SecretEnv = Annotated[
    list[str] | None,
    typer.Option(metavar="K[=V]", help="The same, shown to nobody; without =V that of this environment."),
]
Retry = Annotated[int | None, typer.Option(metavar="N", min=0, help="Try again so often if the op fails.")]
MaySubmitFlag = Annotated[
    MaySubmit | None, typer.Option("--may-submit", help="Which runs it may create while it runs; by default none.")
]
Timeout = Annotated[str | None, typer.Option(metavar="T", help="Stop it after 90s, 10m, 1h30m.")]


@dataclass(frozen=True)
class AdHoc:
    """As typed; None or empty: not given."""

    command: list[str] | None = None
    cpu: float | None = None
    ram: str | None = None
    vram: str | None = None
    gpu: int | None = None
    tag: list[str] | None = None
    env: list[str] | None = None
    secret_env: list[str] | None = None
    retry: int | None = None
    timeout: str | None = None
    may_submit: MaySubmit | None = None

    def given(self) -> list[str]:
        """What was typed, as one types it."""
        names = [each.name for each in fields(self) if getattr(self, each.name) not in (None, [])]
        return ["-- COMMAND" if name == "command" else "--" + name.replace("_", "-") for name in names]

    def as_fields(self) -> dict[str, Any]:
        """Fields of a `RunRequest`, those that were given. CliError (wrong usage) for what cannot be read."""
        constraints = {
            "cpu": self.cpu,
            "ram_mb": _read("--ram", self.ram, sizes.megabytes),
            "vram_mb": _read("--vram", self.vram, sizes.megabytes),
            "gpu_id": self.gpu,
        }
        found = {
            "command": self.command or None,
            "constraints": {name: value for name, value in constraints.items() if value is not None},
            "tags": self.tag,
            "env": dict(_pair("--env", text) for text in self.env or []),
            "secret_env": dict(_secret(text) for text in self.secret_env or []),
            "retry_policy": {"max_attempts": self.retry + 1} if self.retry is not None else None,
            "timeout_s": _read("--timeout", self.timeout, durations.seconds),
            "may_submit": self.may_submit,
        }
        return {name: value for name, value in found.items() if value not in (None, {}, [])}


def _read(flag: str, text: str | None, read: Callable[[str], _T]) -> _T | None:
    try:
        return None if text is None else read(text)
    except ValueError as error:
        raise usage(f"{flag}: {error}") from None


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise usage(f"{flag} {text[:80]!a}: write it as NAME=value")
    return name, value


def _secret(text: str) -> tuple[str, str]:
    """The value behind `=`, which every user of this machine can see, or that of this process's environment."""
    if "=" in text:
        return _pair("--secret-env", text)
    if text not in os.environ:
        raise usage(f"--secret-env {text[:80]!a}: it has no value here, and is not set in the environment")
    return text, os.environ[text]
