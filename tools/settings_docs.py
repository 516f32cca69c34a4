"""`.env.example` and the README's table, made from the settings: `make docs`. A test fails when they are stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from gyoza_tui.models.docstrings import attribute_docstrings
from gyoza_tui.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
_SAID = attribute_docstrings(Settings)
BEGIN, END = "<!-- settings: made by `make docs` -->", "<!-- settings end -->"
_INTRO = """\
# Settings of gyoza-tui. Copy this file, set what you need, and name the copy by --env-file or GYOZA_ENV_FILE.
# Values are taken as they are written: $NAME is not replaced. A file that is not named is not read.
# Flags > environment > this file > config.toml (there without the prefix, in lower case) > the defaults shown here.
# A size may be written as 512m or 2g, a duration as 90s, 10m, 1h30m or 2d.
"""


def env_example() -> str:
    blocks = [_INTRO]
    for name, field in Settings.model_fields.items():
        blocks.append(f"# {_meaning(name, field)}\n# {PREFIX}{name.upper()}={_default(field)}\n")
    return "\n".join(blocks)


def table() -> str:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = f"`{_default(field)}`" if _default(field) else ""
        meaning = _meaning(name, field).replace("|", "\\|")
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {meaning} |")
    return "\n".join(rows)


def readme(text: str) -> str:
    """The README with its table as it must be; ValueError when it has no place for one."""
    return between(BEGIN, END, text, table())


def between(begin: str, end: str, text: str, made: str) -> str:
    """`text` with what was made between the two marks; ValueError when it lacks one."""
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page lacks {begin} … {end}")
    return f"{before}{begin}\n{made}\n{end}{after}"


def _meaning(name: str, field: FieldInfo) -> str:
    """With the choices that there are, where they are fixed."""
    said = _SAID.get(name, "")
    if get_origin(field.annotation) is not Literal:
        return said
    *others, last = (f"`{choice}`" for choice in get_args(field.annotation))
    return f"{said} {', '.join(others)} or {last}."


def _default(field: FieldInfo) -> str:
    """As one writes it in the environment; empty for none, and for one that is this machine's own."""
    return "" if field.default_factory else _written(field.default)


def _written(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)


def main() -> None:
    (ROOT / ".env.example").write_text(env_example())
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text()))


if __name__ == "__main__":
    main()
