"""That typer's completion is as it was read: what of it we rely on does what we rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest
import typer

from gyoza_tui.cli import PROGRAM, SHELL_ASKS
from gyoza_tui.cli.completion import shells

Ask = Callable[[str, str], str]
_WORDS = ("state:", "state:pending", "epochs=", "plain")


def _offered(incomplete: str) -> list[str]:
    return [word for word in _WORDS if word.startswith(incomplete)]


def _verb(term: Annotated[str, typer.Argument(autocompletion=_offered)], since: str = "") -> None:
    """Takes a term."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    def ask(shell: str, typed: str) -> str:
        """What that shell is answered when its line is typed as far as this."""
        monkeypatch.setenv(SHELL_ASKS, f"complete_{shell}")
        monkeypatch.setenv("COMP_LINE", typed)
        monkeypatch.setenv("COMP_POINT", str(len(typed.encode())))
        monkeypatch.setenv("COMP_WORDBREAKS", " =:")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        app = typer.Typer(add_completion=False)
        app.command()(_verb)
        shells.answer()
        with pytest.raises(SystemExit):
            app([], prog_name=PROGRAM)
        return capsys.readouterr().out.strip()

    return ask


@pytest.mark.parametrize(
    ("shell", "typed", "answer"),
    [
        ("bash", "verb pl", "plain"),
        ("bash", "verb state:p", "pending"),
        ("bash", "verb 'pl", "plain"),
        ("bash", "verb --si", "--since"),
        ("zsh", "verb pl", "_arguments '*: :((\"plain\"))'"),
        ("zsh", "verb ep", "compadd -S '' -- 'epochs='"),
        ("zsh", "verb state:p", r"""_arguments '*: :(("state\\:pending"))'"""),
        ("zsh", "verb none", "_files"),
        ("fish", "verb pl", "plain"),
    ],
)
def test_what_a_shell_is_answered(asked: Ask, shell: str, typed: str, answer: str) -> None:
    assert asked(shell, typed) == answer


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_asks_as_it_is_answered(shell: str) -> None:
    script = shells.script(shell)
    assert f"{SHELL_ASKS}=complete_{shell}" in script
    assert "_TYPER_COMPLETE_ARGS=" in script
