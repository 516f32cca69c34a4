"""What an image name may be: `name[:tag][@digest]`, or `scheme://name` for a backend other than Docker."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

LOCAL: Final = "local"
DOCKER: Final = "docker"
"""The backend of a name without a scheme."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?=localhost[:/]|[^/]*[.:])(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOCKER_IMAGE = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
"""Docker's own grammar (github.com/distribution/reference)."""
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
_HUB: Final = ("docker.io", "index.docker.io", None)
_REPOSITORY_MAX: Final = 255
"""Characters of a repository's name as Docker completes it."""
_SCHEMED = re.compile(r"([a-z][a-z0-9]{0,15})://([A-Za-z0-9][A-Za-z0-9._/-]{0,199})")


class ImageRef(NamedTuple):
    """An image name split into who runs it and what it is there."""

    backend: str
    """`docker`, `local`, …"""
    name: str
    """A Docker reference, or the name behind `scheme://`."""

    @classmethod
    def parse(cls, text: str) -> ImageRef:
        """Split and check `text`; ValueError in words that say what is allowed."""
        if len(text) > 400:
            raise ValueError("an image name has at most 400 characters")
        if match := _SCHEMED.fullmatch(text):
            scheme, name = match.groups()
            if scheme == DOCKER:
                raise ValueError(f"{_quoted(text)}: write a Docker image without a scheme")
            if ".." in name or "//" in name:
                raise ValueError(f"{_quoted(text)}: a {scheme}:// name holds no '..' and no empty part")
            return cls(scheme, name)
        if _IMAGE_ID.fullmatch(text):
            raise ValueError(f"{_quoted(text)} is an image's id; a registry knows it by its name, name@sha256:…")
        if match := _DOCKER_IMAGE.fullmatch(text):
            if (length := len(_repository(**match.groupdict()))) > _REPOSITORY_MAX:
                raise ValueError(f"{_quoted(text)}: its repository has {length} characters, over {_REPOSITORY_MAX}")
            return cls(DOCKER, text)
        raise ValueError(
            f"{_quoted(text)} is not an image name: write it as [registry/]name[:tag][@sha256:…] in lower case, "
            "or local://name for a command of the worker's owner"
        )


def registry_of(name: str) -> str:
    """The host that a Docker image is pulled from: `docker.io` for a name without one."""
    match = _DOCKER_IMAGE.fullmatch(name)
    host = match["host"] if match else None
    return _HUB[0] if host in _HUB else str(host)


def _repository(host: str | None, path: str) -> str:
    if host not in _HUB:
        return f"{host}/{path}"
    return f"{_HUB[0]}/{path}" if "/" in path else f"{_HUB[0]}/library/{path}"


def _quoted(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:77] + "...")
