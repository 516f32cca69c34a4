"""`completion`: the script by which a shell completes `gyoza-tui`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from gyoza_tui.cli import PROGRAM, SHELL_ASKS
from gyoza_tui.cli.examples import examples

EXAMPLES: Final = examples(
    'eval "$(gyoza-tui completion bash)"           # in ~/.bashrc',
    'eval "$(gyoza-tui completion zsh)"            # in ~/.zshrc, behind compinit',
    "gyoza-tui completion fish | source           # in ~/.config/fish/config.fish",
)


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_BASH: Final = f"""\
_gyoza_tui_completion() {{
    local IFS=$'\\n'
    COMPREPLY=( $( env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
                   {SHELL_ASKS}=complete_bash $1 ) )
    [[ ${{COMPREPLY[0]}} == *[=:] ]] && compopt -o nospace
    return 0
}}

complete -o default -F _gyoza_tui_completion {PROGRAM}"""
"""Typer's own does not say what the line is, only how bash splits it."""


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", show_default=False)],
) -> None:
    """Print the script that lets a shell complete verbs, flags, and the ids of runs."""
    from typer._completion_shared import get_completion_script

    from gyoza_tui.cli.terminal import out

    if shell is Shell.BASH:
        out(_BASH)
    else:
        out(get_completion_script(prog_name=PROGRAM, complete_var=SHELL_ASKS, shell=shell))
