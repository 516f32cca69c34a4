"""`submit`: give the server a run, and wait for its end if asked."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gyoza_tui.cli import options
from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.cli.options import Connection
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.runs import OpRun, RunRequest

POLL_MIN_S = 0.1
POLL_MAX_S = 2.0
CREATE_AGAIN_S = (0.2, 1.0)
TROUBLE_MAX_S = 15.0
"""Between tries while the server does not answer."""
QUIET_S = 2.0
"""A run that waits this long is told why."""


def submit(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A Docker image, or local://name.")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND ARG...]", help="As behind the image of `docker run`.")
    ] = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="K=V", help="An input: JSON where V is JSON, else text. Repeatable."),
    ] = None,
    inputs: Annotated[str | None, typer.Option(metavar="F.json", help="A JSON object of inputs.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit 1 unless it is COMPLETED.")] = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    api_key_file: options.ApiKeyFile = None,
    state_dir: options.StateDir = None,
    worker_id: options.WorkerId = None,
) -> None:
    """Submit an ad hoc run; prints its id."""
    from gyoza_tui.cli import connection, terminal
    from gyoza_tui.cli.inputs import gather

    given = gather(pairs or [], Path(inputs) if inputs is not None else None)
    request = _request(image=image, inputs=given, command=command or None)
    flags = Connection(server, worker_id, state_dir, api_key_file).over(ctx.obj)
    with connection.connected(flags) as at:
        run = _created(at.client, request)
        if not as_json:
            terminal.out(visible(run.id))
        if wait:
            run = _waited(at.client, run)
    if as_json:
        terminal.out_json(run.model_dump(mode="json"))
    if wait:
        _tell_end(run, as_json)


def _request(**fields: Any) -> RunRequest:
    """Checked before anything is sent, with an id of ours: a repeat after a lost answer is harmless."""
    from pydantic import ValidationError

    from gyoza_tui.models.runs import RunRequest

    try:
        return RunRequest(id=str(uuid.uuid4()), **fields)
    except ValidationError as error:
        faults = [f"{_where(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
        raise usage("\n".join(faults)) from None


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location[:4]).upper() if location[0] == "image" else str(location[0])


def _created(client: GyozaClient, request: RunRequest) -> OpRun:
    """The run. An answer that was lost on the way is asked for again: the same id and body make one run."""
    import httpx

    more = request.model_dump(exclude={"image", "inputs"}, exclude_unset=True)
    pauses = iter(CREATE_AGAIN_S)
    while True:
        try:
            return client.create_run(request.image, request.inputs, **more)
        except (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError):
            if (pause := next(pauses, None)) is None:
                raise CliError(
                    f"the server did not answer to run {request.id}: `gyoza-tui runs` shows whether it has it",
                    ExitCode.UNREACHABLE,
                ) from None
            time.sleep(pause)


def _waited(client: GyozaClient, run: OpRun) -> OpRun:
    """The run at its end. A server that is away for a while does not end the wait; a refusal does."""
    import httpx

    from gyoza_tui.cli import terminal
    from gyoza_tui.client.answers import Meaning, meaning, words

    pause, trouble = POLL_MIN_S, 0.0
    begin = time.monotonic()
    told: set[str] = set()
    try:
        while not run.state.terminal:
            time.sleep(max(pause, trouble))
            pause = min(POLL_MAX_S, pause * 1.2)
            try:
                run = client.get_run(run.id)
                trouble = 0.0
            except httpx.HTTPError as error:
                if meaning(error) is not Meaning.SERVER_FAULT and not _server_error(error):
                    raise
                if not trouble:
                    terminal.say(f"the server does not answer ({words(error)}); waiting for it")
                trouble = min(TROUBLE_MAX_S, max(1.0, trouble * 2))
            if time.monotonic() > begin + QUIET_S:
                news = [line for line in _hold_ups(run) if line not in told]
                told.update(news)
                for line in news:
                    terminal.say(line)
    except KeyboardInterrupt:
        raise CliError(
            f"no longer waiting; {run.id} goes on. Stop it: gyoza-tui cancel {run.id}", ExitCode.INTERRUPTED
        ) from None
    return run


def _hold_ups(run: OpRun) -> Iterator[str]:
    """Why the run does not run yet: an attempt that failed, what it waits for."""
    from gyoza_tui.cli import run_words
    from gyoza_tui.models.states import RunState

    for attempt in run.attempts:
        if attempt.attempt == run.current_attempt - 1 and (fault := run_words.failure(attempt.events)):
            yield f"attempt {attempt.attempt} failed, to be tried again: {fault.words}"
    if run.state is RunState.PENDING and run.placement:
        yield f"{run.state.value}: {run.placement}"


def _server_error(error: Exception) -> bool:
    import httpx

    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code >= 500


def _tell_end(run: OpRun, as_json: bool) -> None:
    from gyoza_tui.cli import run_words, terminal
    from gyoza_tui.models.states import RunState

    if not as_json:
        terminal.out(f"{run.state.value} {run_words.run_time(run)}")
        for name, value in run.outputs.items():
            terminal.out(f"{visible(name)} = {visible(terminal.brief(value, 2000))}")
    if run.state is RunState.COMPLETED:
        return
    fault = run_words.failure(run.events)
    words = [f"{run.id} is {run.state.value}" + (f": {fault.words}" if fault else "")]
    if fault:
        words += [f"  | {line}" for line in fault.log_tail.splitlines()[-20:]]
    raise CliError("\n".join(words))
