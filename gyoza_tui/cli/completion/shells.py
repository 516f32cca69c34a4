"""What a shell is told when it asks: as typer does it, and words with a `=` or `:` too.

All that we rely on of typer without its documentation stands here, as read at 0.29.2.
"""

from __future__ import annotations

import os
from typing import Any, Final

from typer._click.shell_completion import add_completion_class, split_arg_string
from typer._completion_classes import BashComplete, ZshComplete, completion_init
from typer._completion_shared import get_completion_script

from gyoza_tui.cli import PROGRAM, SHELL_ASKS

_HALVES: Final = ("=", ":")
"""At the end of what is offered: something is to follow, and no space."""


def answer() -> None:
    """Let the command line answer."""
    completion_init()
    add_completion_class(_Bash, _Bash.name)
    add_completion_class(_Zsh, _Zsh.name)


def script(shell: str) -> str:
    """By which zsh or fish asks; typer's own for bash does not say what the line is, only how bash splits it."""
    return get_completion_script(prog_name=PROGRAM, complete_var=SHELL_ASKS, shell=shell)


class _Bash(BashComplete):
    """By the whole line; to bash a word ends at each `=` and `:`, and only what is behind it is replaced."""

    def get_completion_args(self) -> tuple[list[str], str]:
        point = int(os.environ.get("COMP_POINT", "0"))  # in bytes
        line = os.fsencode(os.environ.get("COMP_LINE", ""))[:point].decode(errors="replace")
        words = split_arg_string(line)[1:]
        return (words, "") if not words or line[-1].isspace() else (words[:-1], words[-1])

    def get_completions(self, args: list[str], incomplete: str) -> list[Any]:
        breaks = [each for each in _HALVES if each in os.environ.get("COMP_WORDBREAKS", "")]
        kept = max((incomplete.rfind(each) + 1 for each in breaks), default=0)
        found = super().get_completions(args, incomplete)
        for item in found:
            item.value = item.value.removeprefix(incomplete[:kept])
        return found


class _Zsh(ZshComplete):
    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        found = self.get_completions(args, incomplete)
        halves = " ".join(f"'{item.value}'" for item in found if item.value.endswith(_HALVES))
        whole = [self.format_completion(item) for item in found if not item.value.endswith(_HALVES)]
        commands = [f"compadd -S '' -- {halves}"] if halves else []
        commands += [f"_arguments '*: :(({' '.join(whole)}))'"] if whole else []
        return "; ".join(commands) or "_files"
