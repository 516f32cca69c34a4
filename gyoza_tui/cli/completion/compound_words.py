"""What the shell offers for words of two halves: terms of a filter, inputs of a definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import typer

from gyoza_tui.cli.completion.candidates import (
    Offer,
    complete_definition,
    complete_open_run,
    complete_retryable_run,
    complete_run,
    complete_state,
    complete_worker,
    offered,
)
from gyoza_tui.models.filters import NAMED, Key

if TYPE_CHECKING:
    from gyoza_tui.client import GyozaClient

_SINCE: Final = ("10m", "1h", "1d", "7d")


def complete_term(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """A key of the filter grammar, and behind its colon what there is; the last of several values."""
    key, colon, typed = incomplete.partition(":")
    if not colon:
        return [Offer(f"{each}:", "") for each in Key if each.startswith(incomplete)]
    whole = "=" if key in NAMED and typed.startswith("=") else ""
    before, comma, value = typed.removeprefix(whole).rpartition(",")
    return [Offer(f"{key}:{whole}{before}{comma}{found.value}", found.words) for found in _values(ctx, key, value)]


def complete_open_run_or_term(ctx: typer.Context, incomplete: str) -> list[Offer]:
    return ([] if ":" in incomplete else complete_open_run(ctx, incomplete)) + complete_term(ctx, incomplete)


def complete_retryable_run_or_term(ctx: typer.Context, incomplete: str) -> list[Offer]:
    return ([] if ":" in incomplete else complete_retryable_run(ctx, incomplete)) + complete_term(ctx, incomplete)


def complete_input(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Inputs of the definition that the line names, with a word about each; behind `=` only what is true or false."""
    name, at, version = (ctx.params.get("target") or "").partition("@")
    given = {pair.partition("=")[0] for pair in ctx.params.get("pairs") or []}

    def ask(client: GyozaClient) -> Iterator[Offer]:
        from gyoza_tui.cli.definition_lookup import input_words
        from gyoza_tui.models.definitions import ValueType

        for each, spec in client.get_definition(name, version or None).input_specs.items():
            if each in given:
                continue
            if "=" not in incomplete:
                yield Offer(f"{each}=", input_words(spec))
            elif spec.type is ValueType.BOOL:
                yield from (Offer(f"{each}={value}", "") for value in ("true", "false"))

    return offered(ctx, incomplete, ask) if at else []


def _values(ctx: typer.Context, key: str, typed: str) -> list[Offer]:
    match key:
        case Key.STATE:
            return [Offer(state, "") for state in complete_state(typed)]
        case Key.SINCE:
            return [Offer(each, "") for each in _SINCE if each.startswith(typed)]
        case Key.OP:
            return complete_definition(ctx, typed)
        case Key.WORKER:
            return complete_worker(ctx, typed)
        case Key.RUN | Key.PARENT:
            return complete_run(ctx, typed)
        case _:
            return []
