"""Where the Docker engine is: DOCKER_HOST, else DOCKER_CONTEXT, else the CLI's current context, else the usual socket.

docker-py's own contexts are not used: it takes the usual socket where a context is missing or damaged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gyoza_tui.backends.base import BackendUnavailable
from gyoza_tui.backends.docker import docker_config
from gyoza_tui.backends.docker.docker_config import DockerConfig, DockerConfigError

if TYPE_CHECKING:
    from docker.tls import TLSConfig

USUAL: Final = "unix:///var/run/docker.sock"
_DEFAULT: Final = "default"
_SCHEMES: Final = ("http+unix://", "http://", "https://")


class EnginePlace(NamedTuple):
    address: str
    """As a person writes it: `unix:///var/run/docker.sock`."""
    context: str = ""
    """The CLI's context that names it; empty where it is DOCKER_HOST or the usual socket."""
    tls: TLSConfig | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of a docker-py client."""
        return {"base_url": self.address} | ({"tls": self.tls} if self.tls else {})

    @property
    def flags(self) -> tuple[str, str]:
        """The CLI's."""
        return ("--context", self.context) if self.context else ("--host", self.address)

    @property
    def url(self) -> str:
        """The address as docker-py writes it."""
        from docker.utils import parse_host

        return str(parse_host(self.address, False, bool(self.tls)))

    def __str__(self) -> str:
        return f"{self.address} (Docker context {self.context})" if self.context else self.address


def find(environment: Mapping[str, str]) -> EnginePlace:
    """Raises BackendUnavailable, with the name of what is wrong, where it is given and cannot be used."""
    from docker.errors import DockerException

    try:
        place, named_by = _found(environment)
    except (DockerConfigError, OSError, ValueError, DockerException) as error:
        raise BackendUnavailable(f"where the Docker engine is cannot be found out: {error}") from error
    given = f"{named_by} {place.address}"
    if place.address.startswith("ssh:"):
        raise BackendUnavailable(f"{given}: an engine behind ssh cannot be used, only unix:// and tcp://")
    try:
        url = place.url
    except (DockerException, ValueError) as error:
        raise BackendUnavailable(f"{given} is not the address of an engine: {error}") from error
    if not url.startswith(_SCHEMES):
        raise BackendUnavailable(f"{given} is not the address of an engine: only unix:// and tcp:// are supported")
    return place


def _found(environment: Mapping[str, str]) -> tuple[EnginePlace, str]:
    """The place, and what names it."""
    tls = _tls_of(environment)
    if host := environment.get("DOCKER_HOST"):
        return EnginePlace(host, tls=tls), "DOCKER_HOST"
    config = docker_config.read(environment)
    context = environment.get("DOCKER_CONTEXT") or config.text("currentContext")
    if context and context != _DEFAULT:
        return _of_context(config, context), f"Docker context {context}:"
    return EnginePlace(USUAL, tls=tls), "the usual socket"


def _tls_of(environment: Mapping[str, str]) -> TLSConfig | None:
    """As the CLI reads it: an empty variable is unset."""
    folder, verify = environment.get("DOCKER_CERT_PATH"), bool(environment.get("DOCKER_TLS_VERIFY"))
    if not folder and not verify:
        return None
    certificates = Path(folder) if folder else docker_config.folder(environment)
    missing = [name for name in ("ca.pem", "cert.pem", "key.pem") if not (certificates / name).is_file()]
    if missing:
        why = "DOCKER_CERT_PATH" if folder else "DOCKER_TLS_VERIFY"
        raise DockerConfigError(f"{why} is set, and {certificates} lacks TLS certificates: {', '.join(missing)}")
    return _tls(certificates, verify=verify)


def _tls(folder: Path, *, verify: bool) -> TLSConfig | None:
    """Of what is there of the authority's certificate, ours and its key."""
    from docker.tls import TLSConfig

    ca, cert, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    ours = (str(cert), str(key)) if cert.is_file() and key.is_file() else None
    if ours is None and not ca.is_file():
        return None
    return TLSConfig(client_cert=ours, ca_cert=str(ca) if ca.is_file() else None, verify=verify)


def _of_context(config: DockerConfig, name: str) -> EnginePlace:
    digest = hashlib.sha256(name.encode()).hexdigest()
    file = config.folder / "contexts" / "meta" / digest / "meta.json"
    try:
        endpoint = json.loads(file.read_bytes())["Endpoints"]["docker"]
        host, verify = endpoint.get("Host") or USUAL, not endpoint.get("SkipTLSVerify")
    except FileNotFoundError:
        words = f"the Docker context {name} does not exist; `docker context ls` lists those that do"
        raise DockerConfigError(words) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DockerConfigError(f"the Docker context {name} is damaged: {file}: {error!r}") from error
    return EnginePlace(str(host), name, _tls(config.folder / "contexts" / "tls" / digest / "docker", verify=verify))
