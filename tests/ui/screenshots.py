"""`python -m tests.ui.screenshots` makes the pictures of `screenshots/` from the recordings, through the real app.

PNG too where there is `rsvg-convert`, of fewer colours where there is `pngquant`.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.cells import cell_len

from tests.ui.picture import SMALL, WIDE, picture
from tests.ui.recording import load
from tests.ui.svg import CELL, NO_BREAK_SPACE, TEXT

FOLDER: Final = Path(__file__).parents[2] / "screenshots"
_TO_TRAIN: Final = ("j", "j", "j")
PICTURES: Final[dict[str, Callable[[], str]]] = {
    "busy": lambda: picture(load("busy"), WIDE, *_TO_TRAIN),
    "run": lambda: picture(load("busy"), WIDE, "u", "enter", "tab"),
    "search": lambda: picture(load("busy"), WIDE, *_TO_TRAIN, "3", "slash", *"loss=0.6", "enter", "N"),
    "offline": lambda: picture(load("never"), WIDE),
    "small": lambda: picture(load("busy"), SMALL, *_TO_TRAIN),
    "gpus8": lambda: picture(load("gpus8"), WIDE),
}
_FONT: Final = "DejaVu Sans Mono"
_FONT_PX: Final = 20.265
"""At which a letter of it is as wide as a cell."""
_WIDTH_PX: Final = 1600
_PIECE: Final = re.compile(r"[!-~]+(?: [!-~]+)*(?![\u0300-\u036f])|[^ ][\u0300-\u036f]*")
"""Letters that stand in one font, or one character that may come from another."""


def for_librsvg(svg: str) -> str:
    """With each piece of text placed by itself: librsvg knows no `textLength`, and no font of it is as wide."""
    svg = re.sub(
        r"font-family: Fira Code, monospace;\s+font-size: 20px", f"font-family: {_FONT}; font-size: {_FONT_PX}px", svg
    )
    return TEXT.sub(lambda found: "".join(_pieces(found)), svg)


def _pieces(found: re.Match[str]) -> Iterator[str]:
    x, text = float(found["x"]), html.unescape(found["text"]).replace(NO_BREAK_SPACE, " ")
    for piece in _PIECE.finditer(text):
        at = x + CELL * cell_len(text[: piece.start()])
        yield (
            f'<text class="{found["style"]}" x="{at:.1f}" y="{found["y"]}" clip-path="url(#{found["clip"]})" '
            f'xml:space="preserve">{html.escape(piece[0])}</text>'
        )


def to_png(svg: str, path: Path) -> None:
    """Raises OSError where there is no `rsvg-convert`."""
    argv = ["rsvg-convert", "--width", str(_WIDTH_PX), "--keep-aspect-ratio", "--output", str(path)]
    subprocess.run(argv, input=for_librsvg(svg).encode(), check=True, timeout=60)
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--strip", "--ext", ".png", "64", str(path)], check=True, timeout=60)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, make in PICTURES.items():
        made = make()
        (FOLDER / f"{name}.svg").write_text(made)
        if shutil.which("rsvg-convert"):
            to_png(made, FOLDER / f"{name}.png")
        print(f"screenshots/{name}")


if __name__ == "__main__":
    main()
