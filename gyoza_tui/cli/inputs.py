"""A run's inputs as the command line gives them: `k=v` pairs and a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gyoza_tui.cli.failures import usage
from gyoza_tui.models.limits import INPUTS_MAX, KIB


def gather(pairs: list[str], file: Path | None) -> dict[str, Any]:
    """The file's inputs with the pairs on top. CliError (wrong usage) in words."""
    inputs = _from_file(file) if file else {}
    given: set[str] = set()
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise usage(f"-i {pair[:80]!a}: write it as name=value")
        if name in given:
            raise usage(f"-i {name[:80]!a} is given twice")
        given.add(name)
        inputs[name] = value_of(name, text)
    return inputs


def value_of(name: str, text: str) -> Any:
    """JSON where `text` is JSON (`3`, `true`, `[1,2]`, `"3"`), else the text itself."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError:
        return text
    except _NotJson:
        return text
    except (ValueError, RecursionError) as error:
        raise usage(f"-i {name[:80]!a}: a value that cannot be read: {_words(error)}") from None


class _NotJson(Exception):
    """NaN or Infinity: Python reads them, JSON has no such words."""


def _refuse(word: str) -> Any:
    raise _NotJson(word)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(INPUTS_MAX + 1)
    except (OSError, ValueError) as error:
        raise usage(f"the inputs file {str(path)!a} cannot be read: {getattr(error, 'strerror', error)}") from None
    if len(content) > INPUTS_MAX:
        raise usage(f"the inputs file {path} is larger than {INPUTS_MAX // KIB} KiB: pass a path or URL instead")
    try:
        value = json.loads(content, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise usage(f"the inputs file {path}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except _NotJson as error:
        raise usage(f"the inputs file {path}: {error} is not JSON") from None
    except (ValueError, RecursionError) as error:
        raise usage(f"the inputs file {path} cannot be read as JSON: {_words(error)}") from None
    if not isinstance(value, dict):
        raise usage(f"the inputs file {path} must hold one JSON object: names and values")
    return value


def _words(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
