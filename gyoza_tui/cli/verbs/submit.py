"""`submit`: give the server a run or many, and wait for their ends if asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza_tui.cli.completion.candidates import complete_target
from gyoza_tui.cli.completion.compound_words import complete_input
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.cli.flags import ad_hoc, options
from gyoza_tui.cli.flags.ad_hoc import AdHoc
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.cli.flags.with_command import behind
from gyoza_tui.cli.printing.progress_bars import bar
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.cli.connection import Connected
    from gyoza_tui.cli.run_request import Order
    from gyoza_tui.models.runs import OpRun

EXAMPLES = examples(
    "gyoza-tui submit busybox n=3 -- cat /gyoza/input.json",
    "gyoza-tui submit train@1 epochs=5 data=/data/a.csv --wait --logs",
    "gyoza-tui submit train@ --inputs inputs.json --priority 9 --count 100",
    "gyoza-tui submit busybox --cpu 1 --ram 4g --timeout 10m --secret-env TOKEN -- env",
)
COUNT_MAX = 100_000
DEFAULT_PRIORITY = 5

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A definition as NAME@VERSION, or NAME@ for its latest; everything else is an image: one of Docker, "
        "or local://name.",
        autocompletion=complete_target,
    ),
]
Pairs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="K=V",
        help="An input, typed by the definition; for an image JSON where V is JSON, else text.",
        show_default=False,
        autocompletion=complete_input,
    ),
]
More = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="K=V", help="The same.", autocompletion=complete_input),
]
Priority = Annotated[int, typer.Option(metavar="N", help="Higher ones run first.")]
Count = Annotated[int, typer.Option(metavar="N", min=1, max=COUNT_MAX, help="So many runs.")]


@dataclass(frozen=True)
class Manner:
    """How the runs are submitted, and what is told of them."""

    count: int
    wait: bool
    logs: bool
    as_json: bool


@with_connection
def submit(
    flags: Connection,
    ctx: typer.Context,
    target: Target,
    pairs: Pairs = None,
    more: More = None,
    inputs: options.InputsFile = None,
    priority: Priority = DEFAULT_PRIORITY,
    count: Count = 1,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit 1 unless it is COMPLETED.")] = False,
    logs: Annotated[bool, typer.Option("--logs", help="Wait, and print the output if a worker here runs it.")] = False,
    cpu: ad_hoc.Cpu = None,
    ram: ad_hoc.Ram = None,
    vram: ad_hoc.Vram = None,
    gpu: ad_hoc.Gpu = None,
    tag: ad_hoc.Tag = None,
    env: ad_hoc.Env = None,
    secret_env: ad_hoc.SecretEnv = None,
    retry: ad_hoc.Retry = None,
    timeout: ad_hoc.Timeout = None,
    may_submit: ad_hoc.MaySubmitFlag = None,
    as_json: options.AsJson = False,
) -> None:
    """Submit a run of a definition, or of an image with what stands behind `--` as its command. Prints its id.

    A definition takes inputs, --priority and --count; it says the rest itself. In an op that may create runs it goes
    over the op's own socket, and the op's run has no slot while it waits.
    """
    from gyoza_tui.cli import connection, from_op, terminal
    from gyoza_tui.cli.flags.inputs import given
    from gyoza_tui.cli.run_request import order_of

    manner = Manner(count, wait or logs, logs, as_json)
    _refuse_nonsense(manner)
    typed = given([*(pairs or []), *(more or [])], inputs)
    told = AdHoc(behind(ctx), cpu, ram, vram, gpu, tag, env, secret_env, retry, timeout, may_submit)
    if from_op.has_socket(flags):
        _refuse_in_op(manner, priority)
        from_op.submit(target, typed.untyped(), told, count=count, wait=wait, as_json=as_json)
        return
    if words := from_op.without_socket(wait=manner.wait):
        terminal.say(words)
    with connection.connected(flags) as at:
        runs = _submitted(at, order_of(at.client, target, typed, priority, told), manner)
        if manner.wait:
            runs = _waited(at, runs, manner)
    if manner.wait:
        _tell_ends(runs, as_json)


def _refuse_nonsense(manner: Manner) -> None:
    if manner.logs and manner.as_json:
        raise usage("--logs and --json both print to stdout: leave one out")
    if manner.logs and manner.count > 1:
        raise usage("--logs is for one run: leave out --count; `gyoza-tui logs` prints the output of each")


def _refuse_in_op(manner: Manner, priority: int) -> None:
    if manner.logs:
        raise usage("--logs: an op does not read the output of the runs that it creates; --wait waits for them")
    if priority != DEFAULT_PRIORITY:
        raise usage("--priority: a run that an op creates has the priority of the op's own run")


def _submitted(at: Connected, order: Order, manner: Manner) -> list[OpRun]:
    """The runs, each told as it is made. Whatever ends it before the last, the number made is told."""
    from gyoza_tui.cli import terminal
    from gyoza_tui.cli.run_request import created, new_id

    runs: list[OpRun] = []
    run_id = new_id()
    try:
        with bar("submitting", manner.count, shown=manner.count > 1) as show:
            while len(runs) < manner.count:
                runs.append(created(at.client, order, run_id))
                _tell_created(runs[-1], manner)
                show(f"submitted {len(runs)} of {manner.count}", len(runs))
                run_id = new_id()
    except KeyboardInterrupt:
        words = f"interrupted: {len(runs)} of {manner.count} submitted; `gyoza-tui show {run_id}` tells of the next one"
        raise CliError(words, ExitCode.INTERRUPTED) from None
    except Exception:
        if runs:
            terminal.say(f"{len(runs)} of {manner.count} runs are submitted")
        raise
    if not manner.wait and not manner.as_json:
        terminal.hint(f"show {visible(runs[-1].id)}")
    return runs


def _tell_created(run: OpRun, manner: Manner) -> None:
    from gyoza_tui.cli import terminal
    from gyoza_tui.cli.printing import run_words

    if not manner.as_json:
        terminal.out(visible(run.id))
    elif not manner.wait:
        terminal.out_json(run_words.as_json(run))


def _waited(at: Connected, runs: list[OpRun], manner: Manner) -> list[OpRun]:
    """The runs at their ends, in their order; in JSON each is printed as it comes."""
    from gyoza_tui.cli import terminal
    from gyoza_tui.cli.printing import run_words
    from gyoza_tui.cli.printing.live_log import LiveLog
    from gyoza_tui.cli.printing.waiting import wait_for

    def each(run: OpRun) -> None:
        if manner.as_json:
            terminal.out_json(run_words.as_json(run))

    return wait_for(at.client, runs, each, LiveLog(at.settings) if manner.logs else None)


def _tell_ends(runs: list[OpRun], as_json: bool) -> None:
    """Raises CliError (exit 1) unless all are COMPLETED."""
    from gyoza_tui.cli import terminal
    from gyoza_tui.cli.printing.run_end import check_ends, print_end

    if not as_json and len(runs) == 1:
        print_end(runs[0])
    elif not as_json:
        states = Counter(run.state.value for run in runs)
        terminal.out(", ".join(f"{number} {state}" for state, number in states.items()))
    check_ends(runs)
