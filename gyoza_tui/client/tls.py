"""Which certificates are trusted, and what is wrong with one that is not."""

from __future__ import annotations

import os
import re
import ssl
from functools import cache
from pathlib import Path
from typing import Final

_NAMED_BY: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")
_ADD: Final = "set GYOZA_CA_FILE to a file that holds {what}, if you trust it"
_FAULTS: Final = {
    9: "is not valid yet: is this machine's clock right?",
    10: "has expired: renew it at the server; if it is new, this machine's clock is wrong",
    18: "is self-signed: " + _ADD.format(what="it"),
    19: "is of an issuer that this machine does not know: " + _ADD.format(what="the issuer's certificate"),
    20: "is of an issuer that this machine does not know: " + _ADD.format(what="the issuer's certificate"),
    21: "is of an issuer that this machine does not know: " + _ADD.format(what="the issuer's certificate"),
    23: "was revoked: renew it at the server",
    62: "is for another host name: name the server as its certificate does",
    64: "is for another address: name the server as its certificate does",
}
"""By OpenSSL's number of the verification error (X509_V_ERR_*)."""


@cache
def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """The system's certificates, by SSL_CERT_FILE and SSL_CERT_DIR as OpenSSL does, and those of `ca_file`.

    OSError when `ca_file` cannot be read. Takes some 20 ms, once.
    """
    context = ssl.create_default_context()
    if _is_empty(context) and not any(map(os.environ.get, _NAMED_BY)):
        import certifi

        context.load_verify_locations(certifi.where())
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _is_empty(context: ssl.SSLContext) -> bool:
    """Whether the system has no certificates. Those in a directory are loaded only when they are asked for."""
    directory = ssl.get_default_verify_paths().capath
    hashed = directory is not None and any(map(_HASHED.fullmatch, os.listdir(directory)))
    return not hashed and context.cert_store_stats()["x509_ca"] == 0


def fault(error: BaseException | None) -> str | None:
    """What kept a connection from being encrypted, and what to do; None when `error` comes from something else."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    match error:
        case ssl.SSLCertVerificationError():
            known = _FAULTS.get(error.verify_code)
            return f"its certificate {known}" if known else f"its certificate is refused: {error.verify_message}"
        case ssl.SSLError() if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return "it does not speak TLS: name it by http://"
        case ssl.SSLError():
            return f"no TLS connection: {(error.reason or 'unknown').replace('_', ' ').lower()}"
        case _:
            return None
