"""The flags by which a session of the worker ends by itself, or does less."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gyoza_tui.cli.failures import usage

if TYPE_CHECKING:
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.session import Bounds


class BoundFlags(NamedTuple):
    """As typed."""

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

    def bounds(self, settings: Settings) -> Bounds:
        """With the one run's whole id, for which the server is asked."""
        from gyoza_tui.worker.session import Bounds

        run_id = None if self.run is None else _whole_id(self.run, settings)
        return Bounds(self.max_seconds, self.until_empty, run_id, self.ticks)


def _whole_id(beginning: str, settings: Settings) -> str:
    from gyoza_tui.cli.connection import connected_by, find_run

    with connected_by(settings) as at:
        return find_run(at.client, beginning).id
