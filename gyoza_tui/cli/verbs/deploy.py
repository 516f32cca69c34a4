"""`deploy`: bring the definitions of a `gyoza.yml` to the server, and show what that changes there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.definitions import OpDefinition

EXAMPLES = examples("gyoza-tui deploy", "gyoza-tui deploy --dry-run", "gyoza-tui deploy ops/train.yml --json")


class DefinitionChange(StrEnum):
    """What a deploy does to one definition."""

    NEW = "new"
    CHANGED = "changed"
    SECRETS = "secrets sent again"
    """Nothing that can be seen has changed; no server shows the values of its secrets."""
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Plan:
    """One definition of the file beside what the server has."""

    definition: OpDefinition
    latest: OpDefinition | None
    """The version that was deployed last, whichever."""
    replaced: OpDefinition | None
    """The same version at the server."""

    @property
    def name(self) -> str:
        return f"{self.definition.id}@{self.definition.version}"

    @property
    def change(self) -> DefinitionChange:
        if self.replaced is None:
            return DefinitionChange.NEW
        if self.difference:
            return DefinitionChange.CHANGED
        return DefinitionChange.SECRETS if self.definition.secret_env else DefinitionChange.UNCHANGED

    @property
    def difference(self) -> list[str]:
        """`- field: value` as the server has it, `+ field: value` as the file has it."""
        before = _fields(self.replaced or self.latest)
        after = _fields(self.definition)
        lines = []
        for field in dict.fromkeys([*after, *before]):
            if field == "version" or before.get(field) == after.get(field):
                continue
            lines += [f"- {field}: {before[field]}"] if field in before else []
            lines += [f"+ {field}: {after[field]}"] if field in after else []
        return lines

    @property
    def title(self) -> str:
        if self.change is not DefinitionChange.NEW:
            return f"{self.name}: {self.change.value}"
        against = f", beside {self.latest.version}" if self.latest else ""
        return f"{self.name}: {self.change.value}{against}"


@with_connection
def deploy(
    flags: Connection,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Definitions in YAML.")] = Path("gyoza.yml"),
    may_submit: Annotated[
        MaySubmit | None, typer.Option("--may-submit", help="In place of what the file says of it.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Bring the definitions of a file to the server. Shows what changes there; what is unchanged is not sent.

    What a definition is made of stands in docs/writing-ops.md. A secret without a value takes it from the environment.
    """
    from gyoza_tui.cli import connection, terminal
    from gyoza_tui.cli.try_op.op_file import read_definitions

    definitions = read_definitions(file)
    if may_submit is not None:
        definitions = [each.model_copy(update={"may_submit": may_submit}) for each in definitions]
    plans: list[Plan] = []
    with connection.connected(flags) as at:
        for definition in definitions:
            plan = _plan(at.client, definition)
            if not dry_run and plan.change is not DefinitionChange.UNCHANGED:
                at.client.upsert_definition(definition)
            if not as_json:
                _tell(plan, dry_run)
            plans.append(plan)
    if as_json:
        terminal.out_json([_as_json(plan) for plan in plans])
    elif not dry_run:
        terminal.hint(f"submit {plans[-1].name}{_wanted(plans[-1].definition)}")


def _plan(client: GyozaClient, definition: OpDefinition) -> Plan:
    latest = _known(client, definition.id, None)
    if latest is None or latest.version == definition.version:
        return Plan(definition, latest, latest)
    return Plan(definition, latest, _known(client, definition.id, definition.version))


def _known(client: GyozaClient, name: str, version: str | None) -> OpDefinition | None:
    import httpx

    try:
        return client.get_definition(name, version)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == 404:
            return None
        raise


def _fields(definition: OpDefinition | None) -> dict[str, str]:
    """Every field that is not at its default, by its path, its value as JSON; secrets masked."""
    if definition is None:
        return {}
    return dict(_flat(_masked(definition).model_dump(mode="json", exclude_defaults=True), ""))


def _masked(definition: OpDefinition) -> OpDefinition:
    from gyoza_tui.models.runs import SECRET_SHOWN

    return definition.model_copy(update={"secret_env": dict.fromkeys(definition.secret_env, SECRET_SHOWN)})


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    import json

    if isinstance(value, dict) and (value or not path):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else key)
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def _tell(plan: Plan, dry_run: bool) -> None:
    from gyoza_tui.cli import terminal

    terminal.out(visible(plan.title) + (" (not sent: --dry-run)" if dry_run else ""))
    for line in plan.difference:
        terminal.out(f"  {visible(line)}")


def _as_json(plan: Plan) -> dict[str, Any]:
    shown = _masked(plan.definition).model_dump(mode="json")
    return {"definition": shown, "change": plan.change.value, "difference": plan.difference}


def _wanted(definition: OpDefinition) -> str:
    """The inputs that must be given, to be typed on."""
    needed = [name for name, spec in definition.input_specs.items() if spec.required and spec.default is None]
    return "".join(f" {name}=…" for name in needed)
