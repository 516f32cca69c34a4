"""Whether the engine can start containers: a ping does not show it.

The probe is a container made as an attempt's is (limits, network, GPU, init, log driver, the mount of the op's
directory), of an image that holds nothing: the engine's own init starts in it and finds no command. Where the engine
does not take that image, or does not start it, the run's own image decides: either of the two suffices.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import docker
from docker.errors import APIError, NotFound

from gyoza_tui.backends.base import BackendBroken, BackendError, BackendOptions, BackendUnavailable, Label, Spec
from gyoza_tui.backends.docker import creation
from gyoza_tui.backends.docker.engine import QUICK_TIMEOUT_S, Engine
from gyoza_tui.models.constraints import Constraints

_START_TIMEOUT_S: Final = 30.0
_LIMITS: Final = Constraints(ram_mb=64)
_NO_COMMAND: Final = "/gyoza-probe"
_LABEL: Final = "gyoza.probe"
"""Of the image: the worker's own labels may be on an image that a person committed from a container of a run."""
_LASTS_S: Final = 120.0
_DIRECTORIES: Final = ("dev", "etc", "proc", "sys", "tmp")
_NO_REQUIREMENTS: Final = {"NVIDIA_DISABLE_REQUIRE": "1"}
"""A driver too old for one image is no fault of the engine."""


def probe(engine: Engine, options: BackendOptions, spec: Spec, *, bind: bool) -> None:
    """As `Backend.probe` says."""
    trouble: BackendError | None = None
    for image in (None, spec.image):
        try:
            with _empty_image(engine, spec) if image is None else contextlib.nullcontext(image) as name:
                _start(engine, options, spec, name, bind=bind)
            return
        except BackendBroken as error:
            trouble = trouble or error
        except BackendUnavailable as error:
            raise trouble or error from error
        except BackendError as error:
            trouble = trouble or error
    raise trouble or AssertionError


def prune(engine: Engine, worker_id: str) -> int:
    """Remove the images of probes whose process died; how many."""
    removed = 0
    with engine.api() as api:
        for image in api.images(filters={"label": f"{_LABEL}={worker_id}"}):
            if time.time() - image["Created"] > _LASTS_S:
                try:
                    api.remove_image(image["Id"])
                except APIError as error:
                    if error.status_code not in (404, 409):  # gone, or a container of it is left
                        raise
                else:
                    removed += 1
    return removed


@contextlib.contextmanager
def _empty_image(engine: Engine, spec: Spec) -> Iterator[str]:
    label = f"LABEL {_LABEL}={json.dumps(spec.labels.get(Label.WORKER, ''))}"
    with engine.api(QUICK_TIMEOUT_S) as api:
        answer = api.import_image_from_data(_archive(), changes=[label])
        image = str(json.loads(answer.strip().splitlines()[-1])["status"])
    try:
        yield image
    finally:
        with contextlib.suppress(BackendError), engine.api(QUICK_TIMEOUT_S) as api:
            api.remove_image(image)


def _archive() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for directory in _DIRECTORIES:
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    return archive.getvalue()


def _start(engine: Engine, options: BackendOptions, spec: Spec, image: str, *, bind: bool) -> None:
    asked = replace(spec, constraints=_LIMITS, env=_NO_REQUIREMENTS)
    with engine.api(_START_TIMEOUT_S) as api:
        _remove(api, spec.name)
        try:
            api.create_container(
                image,
                [],
                name=spec.name,
                entrypoint=[_NO_COMMAND],
                user="0:0",
                working_dir="/",
                environment=creation.environment(asked),
                labels=dict(spec.labels),
                host_config=creation.host_config(asked, options, (), bind=bind),
            )
            api.start(spec.name)
        except APIError as error:
            raise BackendBroken(f"Docker answers, but starts no container: {error.explanation or error}") from error
        finally:
            with contextlib.suppress(BackendError), engine.api(_START_TIMEOUT_S) as cleaning:
                _remove(cleaning, spec.name)


def _remove(api: docker.APIClient, name: str) -> None:
    with contextlib.suppress(NotFound):
        api.remove_container(name, v=True, force=True)
