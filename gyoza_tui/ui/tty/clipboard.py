"""Text to the user's clipboard: through tmux, which drops what asks the terminal itself, else by OSC 52."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Final

OSC_52_MAX: Final = 100_000
"""Bytes of text; terminals drop more without a word."""
_TMUX_S: Final = 2.0


class CopyError(Exception):
    """Nothing was copied; `str()` says why."""


def in_tmux(environ: Mapping[str, str] = os.environ) -> bool:
    return bool(environ.get("TMUX"))


def by_tmux(text: str) -> str:
    """Into tmux's buffer, which hands it on; what to say. Blocks. Raises CopyError."""
    try:
        subprocess.run(
            ("tmux", "load-buffer", "-w", "-"),
            input=text.encode(errors="replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TMUX_S,
            check=True,
        )
    except FileNotFoundError:
        raise CopyError("not copied: there is no tmux command here") from None
    except subprocess.TimeoutExpired:
        raise CopyError("not copied: tmux does not answer") from None
    except subprocess.CalledProcessError as error:
        raise CopyError(f"not copied: tmux: {error.stderr.decode(errors='replace').strip()}") from None
    return f"copied {_size(text)} into tmux's buffer; if your terminal lets it, into its clipboard too"


def by_terminal(text: str, send: Callable[[str], None]) -> str:
    """`send` asks the terminal by OSC 52; what to say. Raises CopyError."""
    data = text.encode(errors="replace")
    if len(data) > OSC_52_MAX:
        raise CopyError(f"not copied: {_size(text)} is more than the 100 KB that terminals take; s saves the log")
    send(data.decode())
    return f"sent {_size(text)} to your terminal's clipboard (OSC 52); some terminals ignore it"


def _size(text: str) -> str:
    size = len(text.encode(errors="replace"))
    return f"{size} B" if size < 1000 else f"{size / 1000:.1f} KB"
