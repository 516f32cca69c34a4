"""What a run is made of: an image with flags, or a definition of the server with inputs."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gyoza_tui.cli.failures import CliError, ExitCode, usage
from gyoza_tui.cli.flags.ad_hoc import AdHoc
from gyoza_tui.cli.flags.inputs import Given

if TYPE_CHECKING:
    from gyoza_tui.client import GyozaClient
    from gyoza_tui.models.definitions import OpDefinition
    from gyoza_tui.models.runs import DefinitionRunRequest, OpRun, RunRequest

CREATE_AGAIN_S = (0.2, 1.0)
_FLAGS = {"cpu": "--cpu", "ram_mb": "--ram", "vram_mb": "--vram", "gpu_id": "--gpu"}
_FIELDS = {
    "image": "IMAGE",
    "priority": "--priority",
    "tags": "--tag",
    "env": "--env",
    "secret_env": "--secret-env",
    "retry_policy": "--retry",
    "timeout_s": "--timeout",
}


class Order(Protocol):
    """Makes runs, each with an id of ours: a repeat after a lost answer is harmless."""

    def create(self, client: GyozaClient, run_id: str) -> OpRun: ...


@dataclass(frozen=True)
class ImageOrder:
    request: RunRequest

    def create(self, client: GyozaClient, run_id: str) -> OpRun:
        more = self.request.model_dump(exclude={"image", "inputs"}, exclude_unset=True)
        return client.create_run(self.request.image, self.request.inputs, **more, id=run_id)


@dataclass(frozen=True)
class DefinitionOrder:
    name: str
    request: DefinitionRunRequest

    def create(self, client: GyozaClient, run_id: str) -> OpRun:
        request = self.request
        return client.create_run_from_definition(
            self.name, request.inputs, version=request.version, priority=request.priority, id=run_id
        )


def order_of(client: GyozaClient, target: str, given: Given, priority: int, ad_hoc: AdHoc) -> Order:
    """Checked as far as that can be done before anything is sent. CliError (wrong usage) tells all faults."""
    name, at, version = target.partition("@")
    if not at or ":" in version:  # only a digest may stand behind an image's @
        order = _image_order(target, given, priority, ad_hoc)
        _tell_of_namesake(client, target)
        return order
    if flags := ad_hoc.given():
        raise usage(
            f"a definition takes inputs, --priority and --count; {target} says the rest: leave out {_list(flags)}"
        )
    definition = definition_of(client, name, version or None)
    from gyoza_tui.models.runs import DefinitionRunRequest

    fields = {"inputs": given.fitted(definition), "priority": priority, "version": definition.version}
    return DefinitionOrder(definition.id, _checked(DefinitionRunRequest, fields))


def _tell_of_namesake(client: GyozaClient, image: str) -> None:
    """A bare name is an image, also where somebody has meant a definition."""
    import httpx

    from gyoza_tui.cli.terminal import say

    if any(sign in image for sign in "/:@"):
        return
    try:
        version = client.get_definition(image).version
    except httpx.HTTPStatusError:
        return
    say(f"{image} is taken as an image; the definition of that name is {image}@{version}")


def definition_of(client: GyozaClient, name: str, version: str | None) -> OpDefinition:
    """Of that version, or the latest. CliError when there is none."""
    import httpx

    from gyoza_tui.models.identity import check_id

    try:
        check_id(name)
        check_id(version or name)
    except ValueError as error:
        raise usage(f"TARGET: {error}; a definition is named as NAME@VERSION, or NAME@ for its latest") from None
    try:
        return client.get_definition(name, version)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != 404:
            raise
        which = f"{name} in version {version}" if version else name
        raise CliError(f"the server has no definition {which}: `gyoza-tui definitions` lists what it has") from None


def created(client: GyozaClient, order: Order, run_id: str) -> OpRun:
    """The run. An answer that was lost on the way is asked for again: the same id and body make one run.

    CliError when there is none: the server may have the run all the same.
    """
    import httpx

    pauses = iter(CREATE_AGAIN_S)
    lost: tuple[type[httpx.TransportError], ...] = (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError)
    while True:
        try:
            return order.create(client, run_id)
        except lost:
            lost = (httpx.TransportError,)  # it may be gone by now, and have the run
            if (pause := next(pauses, None)) is None:
                raise CliError(
                    f"the server did not answer to run {run_id}: `gyoza-tui runs` shows whether it has it",
                    ExitCode.UNREACHABLE,
                ) from None
            time.sleep(pause)


def new_id() -> str:
    return str(uuid.uuid4())


def _image_order(image: str, given: Given, priority: int, ad_hoc: AdHoc) -> ImageOrder:
    from gyoza_tui.models.runs import RunRequest

    fields = {"image": image, "inputs": given.untyped(), "priority": priority, **ad_hoc.as_fields()}
    return ImageOrder(_checked(RunRequest, fields))


def _checked(model: type[Any], fields: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return model(**fields)
    except ValidationError as error:
        faults = [f"{_where(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
        raise usage("\n".join(faults)) from None


def _where(location: tuple[int | str, ...]) -> str:
    """The flag that a fault is about."""
    first = str(location[0])
    if first == "constraints" and len(location) > 1:
        return _FLAGS[str(location[1])]
    return _FIELDS.get(first, first)


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
