"""The command lines of README.md and docs/, as a person copies them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.images import BUSYBOX

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
PROGRAMS: Final = ("gyoza-tui", ".venv/bin/gyoza-tui")
OPERATORS: Final = ("|", "||", "&", "&&", ";", ">", ">>", "(", ")", "<")
STAYING: Final = ("--wait", "--logs", "--watch", "-f", "--follow")
"""Flags of verbs that wait for others, or go on until they are stopped."""
OF_A_WORKER_HERE: Final = ("attach", "status", "pause", "resume", "drain", "stop", "now", "reload")
"""Verbs that speak to a worker of this machine, which blackbox/ starts for each of their lines."""
KEY_FILE: Final = ".gyoza-key"
_SERVER: Final = "http://gpu-box:5555"
_IMAGES: Final = ("busybox", "IMAGE")


class Line(NamedTuple):
    document: str
    number: int
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}:{self.number}: gyoza-tui {shlex.join(self.arguments)}"

    @property
    def verb(self) -> str:
        """Empty for the worker itself."""
        first = next(iter(self.arguments), "-")
        return "" if first.startswith("-") else first

    @property
    def of_a_worker_here(self) -> bool:
        """`--worker` names one at the server."""
        return self.verb in OF_A_WORKER_HERE and "--worker" not in self.arguments

    @property
    def stays(self) -> bool:
        """Whether it is a process of its own, beside others."""
        return self.verb in ("", "serve") or self.of_a_worker_here or any(flag in self.arguments for flag in STAYING)

    @property
    def needs_docker(self) -> bool:
        return any(image in self.arguments for image in _IMAGES)

    def typed(self, home: Path, url: str) -> list[str]:
        """With this machine's home, server and image instead of those that it names."""
        names = {_SERVER: url, **dict.fromkeys(_IMAGES, BUSYBOX)}
        return [names.get(word, word.replace("~", str(home))) for word in self.arguments]


def _command_lines(path: Path) -> Iterator[Line]:
    """Of the shell blocks, and of what is set as code in the text."""
    block = None
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if fence := re.match(r" *```(\w*)", text):
            block = None if block is not None else fence[1]
            continue
        pieces = [text] if block == "sh" else re.findall(r"`((?:\.venv/bin/)?gyoza-tui [^`]*)`", text)
        for piece in pieces if block in (None, "sh") else ():
            for arguments in _commands(piece):
                yield Line(path.name, number, arguments)


def _commands(text: str) -> Iterator[tuple[str, ...]]:
    """Each call of ours in a line of a shell, without what surrounds it."""
    text = re.sub(r"<(\w+)>", r"a1b2", text).replace('"$(', " ( ").replace(')"', " ) ")
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    words = list(lexer)
    for begin, word in enumerate(words):
        if word in PROGRAMS and (begin == 0 or words[begin - 1] in OPERATORS):
            rest = words[begin + 1 :]
            end = next((i for i, each in enumerate(rest) if each in OPERATORS), len(rest))
            yield tuple(rest[:end])


LINES: Final = [line for path in DOCUMENTS for line in _command_lines(path)]
EACH_ONCE: Final = list({line.arguments: line for line in LINES}.values())
