"""`server.json` in the state directory: where this machine's own server is, for the verbs that name none."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from gyoza_tui.settings import SettingsError

_SIZE_MAX = 16 * 1024


class ServerFile(BaseModel):
    url: str
    key: str

    def __repr__(self) -> str:
        return f"ServerFile({self.url!r})"


def write(path: Path, server: ServerFile) -> None:
    """Atomically, for its owner's eyes only from the first byte on."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(server.model_dump_json() + "\n")
    part.replace(path)


def read(path: Path) -> ServerFile | None:
    """None when there is none; SettingsError when it is not one of ours."""
    try:
        with path.open("rb") as file:
            content = file.read(_SIZE_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. Name a server by --server") from None
    try:
        return ServerFile.model_validate(json.loads(content))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SettingsError(f"{path}: {where}: {error.msg}. Remove the file, or name a server by --server") from None
    except (ValidationError, ValueError, RecursionError):
        raise SettingsError(f"{path} is not a server file of gyoza-tui: remove it, or use --server") from None
