"""Keys in files, and which key counts."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

from gyoza_tui.models.faults import SettingsError

_KEY_MAX: Final = 4096


def chosen_key(file: Path | None, key: str | None) -> str | None:
    """The key of GYOZA_API_KEY_FILE before that of GYOZA_API_KEY. SettingsError for a file that holds none."""
    return key if file is None else read_key_file(file)


def read_key_file(path: Path) -> str:
    """The first line of a key file; SettingsError in words when there is none to be had."""
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(_KEY_MAX + 1)
    except OSError as error:
        raise SettingsError(f"the key file {path} cannot be read: {error.strerror}") from None
    key = content.strip().decode(errors="replace")
    if len(content) > _KEY_MAX or not can_be_key(key):
        raise SettingsError(f"the key file {path} must hold one line of printable ASCII: the key")
    if stat.S_IMODE(mode) & 0o077:
        print(f"warning: others can read the key file {path}: chmod 600 {path}", file=sys.stderr)
    return key


def can_be_key(text: str) -> bool:
    """Whether an HTTP header can carry it."""
    return 0 < len(text) <= _KEY_MAX and text.isascii() and text.isprintable()
