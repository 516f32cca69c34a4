"""A file of settings, as `NAME=value` lines, that the user names; a `.env` that is only there is not read."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from gyoza_tui.models.faults import SettingsError
from gyoza_tui.models.limits import KIB

VARIABLE: Final = "GYOZA_ENV_FILE"
NAMING: Final = f"--env-file .env or {VARIABLE}=.env"
UNREAD: Final = f"has settings, but is not read: if you trust it, name it by {NAMING}"
_LOOKED_AT: Final = 64 * KIB
_A_SETTING: Final = re.compile(rb"^[ \t]*(?:export[ \t]+)?GYOZA_\w", re.MULTILINE | re.IGNORECASE)


def named(flag: str | None) -> Path | None:
    """The file that the flag names, or else the environment."""
    given = flag or os.environ.get(VARIABLE)
    if not given:
        return None
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError:
        raise SettingsError(f"{given[:80]!a}: there is no such home directory") from None


def variables(path: Path | None) -> dict[str, str]:
    """What it sets, by names in lower case: as it is written, with no variable of another in its values."""
    if path is None:
        return {}
    from dotenv import dotenv_values

    with path.open(encoding="utf-8") as file:
        found = dotenv_values(stream=file, interpolate=False)
    return {name.lower(): value for name, value in found.items() if value}


def unread(read: Path | None) -> Path | None:
    """The `.env` of the current directory, if it has settings and is not the one that is read."""
    found = Path(".env").absolute()
    if not _has_settings(found) or (read is not None and read.resolve() == found.resolve()):
        return None
    return found


def _has_settings(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(file).st_mode) and _A_SETTING.search(os.read(file, _LOOKED_AT)) is not None
    except OSError:
        return False
    finally:
        os.close(file)
