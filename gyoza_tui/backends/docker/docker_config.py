"""The Docker CLI's `config.json` of this user: logins, credential helpers, the current context."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class DockerConfigError(Exception):
    """It cannot be used. `str()` is a message that names the file and what to do."""


class DockerConfig(NamedTuple):
    folder: Path
    """Where it is, and the contexts next to it."""
    content: dict[str, Any]
    """Empty where there is none that can be read."""
    trouble: str = ""
    """Why it cannot be read, in words; then there are no logins and no contexts, as for the CLI."""

    @property
    def path(self) -> Path:
        return self.folder / "config.json"

    def texts(self, name: str) -> dict[str, str]:
        """An object of strings in it; what is no string is left out."""
        found = self.content.get(name)
        return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}

    def text(self, name: str) -> str:
        found = self.content.get(name)
        return found if isinstance(found, str) else ""


def folder(environment: Mapping[str, str]) -> Path:
    home = environment.get("HOME") or str(Path.home())
    return Path(environment.get("DOCKER_CONFIG") or Path(home, ".docker"))


def trouble(environment: Mapping[str, str]) -> str:
    """Why it is not used, in words; empty where it is."""
    try:
        return read(environment).trouble
    except DockerConfigError as error:
        return str(error)


def read(environment: Mapping[str, str]) -> DockerConfig:
    """Of the directory that DOCKER_CONFIG names, or ~/.docker. Raises DockerConfigError for what cannot be used."""
    config = DockerConfig(folder(environment), {})
    try:
        content = json.loads(config.path.read_bytes())
    except FileNotFoundError:
        return config
    except OSError as error:
        return config._replace(trouble=f"{config.path} cannot be read: {error.strerror}; no Docker login is used")
    except (ValueError, RecursionError) as error:
        raise DockerConfigError(f"{config.path} is no JSON: {error}; correct it, or remove it") from error
    if not isinstance(content, dict):
        raise DockerConfigError(f"{config.path} is no JSON object; correct it, or remove it")
    return config._replace(content=content)
