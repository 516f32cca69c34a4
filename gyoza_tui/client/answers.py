"""What an answer, or its absence, means to whoever sent the request."""

from __future__ import annotations

import json
import math
import os
from enum import StrEnum

import httpx
from pydantic import ValidationError

from gyoza_tui.client import tls
from gyoza_tui.models.errors import ErrorBody, ErrorCode
from gyoza_tui.models.loopback import is_loopback
from gyoza_tui.models.server_trouble import Trouble

CODES = frozenset(ErrorCode)
UNSIGNED = "unsigned"
"""Extension of an `httpx.Response` without the X-Server-Id that its server gives: another program answered."""
_REFUSED = "connection refused"
_NO_NAME = "host name not found"


class NotOurAnswer(httpx.RequestError):
    """A reply that no gyoza server gives: HTML, cut JSON, wrong types, a redirect, over 64 MiB."""


class Meaning(StrEnum):
    """How a failed request is to be taken."""

    SERVER_FAULT = "server fault"
    """Not about this request: no answer, not our answer, 429, 502, 503, 504. All requests back off."""
    UNAUTHORIZED = "unauthorized"
    """The key is wrong: all requests back off until it is changed."""
    FORBIDDEN = "forbidden"
    """The role of the key does not allow this request, which is as good as it was once the key is changed."""
    REFUSED = "refused"
    """400 or 409 of the server itself: final for this request."""
    TROUBLE = "trouble"
    """Any other refusal: this request alone backs off."""


def error_code(error: httpx.HTTPStatusError) -> str | None:
    """The `code` of an error answer; None when the answer is not of a gyoza server."""
    try:
        return ErrorBody.model_validate_json(error.response.content).code
    except (ValidationError, httpx.ResponseNotRead):
        return None


def meaning(error: httpx.HTTPError) -> Meaning:
    """What `error` says about the request that met it.

    A 404 without a code of ours (a wrong path, a proxy) is a server fault, never a refusal.
    """
    if not isinstance(error, httpx.HTTPStatusError):
        return Meaning.SERVER_FAULT
    status = error.response.status_code
    if _is_of_role(error):
        return Meaning.FORBIDDEN
    if status in (401, 403):
        return Meaning.UNAUTHORIZED
    if status in (400, 409) and UNSIGNED not in error.response.extensions:
        return Meaning.REFUSED
    if status in (429, 502, 503, 504):
        return Meaning.SERVER_FAULT
    if status == 404 and error_code(error) not in CODES:
        return Meaning.SERVER_FAULT
    return Meaning.TROUBLE


def _is_of_role(error: httpx.HTTPStatusError) -> bool:
    return error.response.status_code == 403 and error_code(error) == ErrorCode.ROLE


def not_served(error: httpx.HTTPError) -> bool:
    """Whether the server has no such endpoint, as another one, or an older one of ours."""
    return (
        isinstance(error, httpx.HTTPStatusError)
        and error.response.status_code in (404, 405)
        and error_code(error) is None
    )


def retry_after_s(error: httpx.HTTPError) -> float | None:
    """Seconds that the server asks to wait; None when it does not say."""
    if not isinstance(error, httpx.HTTPStatusError):
        return None
    try:
        seconds = float(error.response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def words(error: httpx.HTTPError) -> str:
    """The error in a few words for a person, as part of a sentence: no full stop; holds no header and no key."""
    return _said(error).removesuffix(".")


def _said(error: httpx.HTTPError) -> str:
    match error:
        case httpx.HTTPStatusError() if _is_of_role(error):
            return detail(error) or "the key's role does not allow it"
        case httpx.HTTPStatusError():
            status = error.response.status_code
            if status in (401, 403):
                return f"key refused ({status}): {_key_words(error)}"
            return f"{status} {detail(error) or error.response.reason_phrase}".strip()
        case httpx.ConnectTimeout():
            return "no answer in time" + _proxy_words(error)
        case httpx.ReadTimeout() | httpx.WriteTimeout() | httpx.PoolTimeout():
            return "no answer in time"
        case httpx.ConnectError():
            return tls.fault(error) or _connect_words(str(error)) + _proxy_words(error)
        case NotOurAnswer():
            return str(error)
        case _:
            return f"{str(error) or type(error).__name__}"


def _key_words(error: httpx.HTTPStatusError) -> str:
    """What to do, with the file of the right key if the server names it."""
    _, _, file = (detail(error) or "").partition("; ")
    advice = "set GYOZA_API_KEY or GYOZA_API_KEY_FILE"
    return f"{file}; {advice}" if file else advice


def trouble(error: httpx.HTTPError) -> Trouble:
    match error:
        case httpx.HTTPStatusError() if _is_of_role(error):
            return Trouble.ROLE
        case httpx.HTTPStatusError() if error.response.status_code in (401, 403):
            return Trouble.KEY
        case httpx.HTTPStatusError() if not_served(error):
            return Trouble.NOT_GYOZA
        case NotOurAnswer():
            return Trouble.NOT_GYOZA
        case httpx.TimeoutException():
            return Trouble.NO_ANSWER
        case httpx.ConnectError():
            if tls.fault(error) is not None:
                return Trouble.CERTIFICATE
            known = {_REFUSED: Trouble.REFUSED, _NO_NAME: Trouble.NO_NAME}
            return known.get(_connect_words(str(error)), Trouble.OTHER)
        case _:
            return Trouble.OTHER


def detail(error: httpx.HTTPStatusError) -> str | None:
    """What a gyoza server says of a refusal; None when the answer is not of one."""
    try:
        return ErrorBody.model_validate_json(error.response.content).detail
    except (ValidationError, httpx.ResponseNotRead, json.JSONDecodeError):
        return None


def _connect_words(text: str) -> str:
    lowered = text.lower()
    if "refused" in lowered:
        return _REFUSED
    if "name or service" in lowered or "resolution" in lowered or "nodename" in lowered:
        return _NO_NAME
    return text or "no connection"


def _proxy_words(error: httpx.ConnectError | httpx.ConnectTimeout) -> str:
    """That the environment's proxy is not used, where it names one for this request."""
    try:
        url = error.request.url
    except RuntimeError:  # not of a request
        return ""
    names = [f"{url.scheme}_proxy", "all_proxy"]
    found = next((each for name in names for each in (name, name.upper()) if os.environ.get(each)), None)
    return "" if found is None or is_loopback(url.host) else f" ({found} is set, but proxies are not used)"
