"""The table of roles in `docs/operating.md`, made from the table that the server uses: `make docs`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gyoza_tui.server.roles import MAY, ROUTES, Act, Role
from tools.settings_docs import between

PATH: Final = Path(__file__).parents[1] / "docs" / "operating.md"
BEGIN, END = "<!-- roles: made by `make docs` -->", "<!-- roles end -->"


def table() -> str:
    head = ["", *Role, "requests"]
    rows = [[act, *("yes" if act in MAY[role] else "" for role in Role), _requests(act)] for act in Act]
    lines = [head, ["---", *(":-:" for _ in Role), "---"], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _requests(act: Act) -> str:
    if act is Act.READ:
        return "every `GET`"
    return ", ".join(f"`{method} {path}`" for (method, path), acts in ROUTES.items() if act in acts)


def page(text: str) -> str:
    """The page with its table as it must be; ValueError when it has no place for one."""
    return between(BEGIN, END, text, table())


def main() -> None:
    PATH.write_text(page(PATH.read_text()))


if __name__ == "__main__":
    main()
