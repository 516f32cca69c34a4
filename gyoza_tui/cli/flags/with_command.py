"""Verbs that take an op's command behind `--`, apart from their own arguments."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

_BEHIND = "behind"


class WithCommand(TyperCommand):
    """Keeps what stands behind the first `--` from the arguments before it; see `behind`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_BEHIND] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND ARG...]"]


def behind(ctx: typer.Context) -> list[str] | None:
    """What stood behind `--`."""
    return ctx.meta.get(_BEHIND) or None
