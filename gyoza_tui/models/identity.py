"""Names that people and machines give to workers and runs."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def check_id(text: str) -> str:
    """The text itself; ValueError when it is not an id of ours."""
    if not _ID.fullmatch(text):
        raise ValueError(
            f"{text[:80]!a} is not an id: 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
        )
    return text


def check_env_name(text: str) -> str:
    """The text itself; ValueError when it cannot name an environment variable."""
    if not _ENV_NAME.fullmatch(text):
        raise ValueError(f"{text[:80]!a} cannot name an environment variable")
    return text


Id = Annotated[str, AfterValidator(check_id)]
"""A worker id, a run id chosen by a client, a definition's name, a tag."""
EnvName = Annotated[str, AfterValidator(check_env_name)]
