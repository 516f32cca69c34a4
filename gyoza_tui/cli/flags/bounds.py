"""How the flags of `bound_flags` are typed."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from gyoza_tui.cli.completion.candidates import complete_open_run


def _seconds(value: float | None) -> float | None:
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter("write a number of seconds, greater than 0")
    return value


MaxSeconds = Annotated[
    float | None, typer.Option(metavar="S", help="End after so long, as by a first SIGTERM.", callback=_seconds)
]
UntilEmpty = Annotated[bool, typer.Option("--until-empty", help="End when nothing is left that it could take.")]
OneRun = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="Claim this run alone, end with it.", autocompletion=complete_open_run),
]
Ticks = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="N passes of the duties in one thread, and out; for tests.")
]
Duties = Annotated[str | None, typer.Option(metavar="a,b", help="Do these duties alone, with those that they need.")]
