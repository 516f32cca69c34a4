"""Certificates of a test's own, and a gyoza server that shows one."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from tests.scripted_server import Reply, ScriptedServer

_AUTHORITY: Final = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign", "subjectKeyIdentifier=hash")
_ISSUED: Final = ("authorityKeyIdentifier=keyid",)
"""Python 3.13 asks for all of these."""


class Certificate(NamedTuple):
    file: Path
    key: Path


def certificate(
    home: Path, name: str, *, of: str = "localhost", issuer: Certificate | None = None, days: int = 2
) -> Certificate:
    """One for the host `of`, self-signed unless it has an issuer; with negative `days` it has expired."""
    made = Certificate(home / f"{name}.pem", home / f"{name}-key.pem")
    request, extensions = home / f"{name}.csr", home / f"{name}.ext"
    told = _AUTHORITY if of == "ca" and not issuer else (f"subjectAltName=DNS:{of}", *(_ISSUED if issuer else ()))
    extensions.write_text("\n".join(told))
    _openssl(
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        made.key,
        "-out",
        request,
        "-subj",
        f"/CN={name}",
    )
    signing: list[str | Path] = ["-signkey", made.key]
    if issuer is not None:
        signing = ["-CA", issuer.file, "-CAkey", issuer.key, "-CAcreateserial"]
    _openssl("x509", "-req", "-in", request, *signing, "-days", str(days), "-extfile", extensions, "-out", made.file)
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def tls_server(shown: Certificate) -> ScriptedServer:
    """A scripted server at `https://localhost`, which has no run."""
    server = ScriptedServer(other=Reply([]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.file, shown.key)
    server.encrypt(context)
    return server
