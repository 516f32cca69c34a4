"""The flags of a session of the worker that ends by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza_tui.cli.completing import complete_open_run
from gyoza_tui.cli.failures import of_http, usage

if TYPE_CHECKING:
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.session import Bounds


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


@dataclass(frozen=True)
class BoundFlags:
    max_seconds: float | None = None
    until_empty: bool = False
    run: str | None = None
    ticks: int | None = None
    duties: str | None = None

    def check(self) -> None:
        """CliError for flags that exclude each other."""
        ends = {"--until-empty": self.until_empty, "--run": self.run, "--ticks": self.ticks}
        given = [flag for flag, value in ends.items() if value]
        if self.ticks and self.max_seconds:
            given.append("--max-seconds")
        if len(given) > 1:
            raise usage(f"{given[0]} and {given[1]} end the same session: leave one out")
        if self.duty_names == ():
            raise usage("--duties names none: write some, as --duties deliver,reconcile")

    @property
    def end_by_themselves(self) -> bool:
        return self.until_empty or any(end is not None for end in (self.max_seconds, self.run, self.ticks))

    @property
    def duty_names(self) -> tuple[str, ...] | None:
        """As the worker takes them; None for all."""
        if self.duties is None:
            return None
        return tuple(name.strip() for name in self.duties.split(",") if name.strip())

    def bounds(self, settings: Settings, api_key: str | None) -> Bounds:
        """With the one run's whole id, for which the server is asked."""
        from gyoza_tui.worker.session import Bounds

        run_id = None if self.run is None else _whole_id(self.run, settings, api_key)
        return Bounds(self.max_seconds, self.until_empty, run_id, self.ticks)


def _whole_id(beginning: str, settings: Settings, api_key: str | None) -> str:
    import httpx

    from gyoza_tui.cli.connection import find_run
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.text import visible

    with GyozaClient(settings.server_url, api_key) as client:
        try:
            return find_run(client, beginning).id
        except httpx.HTTPError as error:
            raise of_http(error, visible(settings.server_url)) from None
