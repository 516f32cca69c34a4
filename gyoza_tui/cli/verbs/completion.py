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


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", show_default=False)],
) -> None:
    """Print the script that lets a shell complete verbs, flags, and the ids of runs."""
    from gyoza_tui.cli.completion import shells
    from gyoza_tui.cli.terminal import out

    out(_BASH if shell is Shell.BASH else shells.script(shell))
