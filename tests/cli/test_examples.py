"""Examples in a verb's help."""

from __future__ import annotations

import pytest
import typer

from gyoza_tui.cli.examples import examples

LONG = "gyoza-tui runs state:failed" + " op:train" * 12


def test_each_example_is_a_line_that_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)

    @app.command(epilog=examples("gyoza-tui runs", LONG))
    def verb() -> None:
        """A verb."""

    app(["--help"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-3:] == ["  Examples:", "    gyoza-tui runs", f"    {LONG}"]
