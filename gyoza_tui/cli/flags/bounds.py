"""How the flags of `bound_flags` are typed."""

from __future__ import annotations

from typing import Annotated

import typer

from gyoza_tui.cli.completion.candidates import complete_open_run
from gyoza_tui.models import durations


def _seconds(text: str) -> float:
    try:
        seconds = durations.seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if seconds <= 0:
        raise typer.BadParameter(f"{text[:40]!a} is not greater than 0")
    return seconds


MaxSeconds = Annotated[
    float | None,
    typer.Option(metavar="T", help="End after 3600, 90s or 8h, as by a first SIGTERM.", parser=_seconds),
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
