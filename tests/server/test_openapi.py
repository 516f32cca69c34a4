"""Whatever fits the published schema, and what does not, is answered as the schema says, and never with 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.server.process import server_process


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with server_process(tmp_path_factory.mktemp("openapi") / "server.db") as server:
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")


UNSUITABLE = [
    # ids, images and cursors have rules that a JSON schema does not tell, and an unknown run is no fault of the request
    positive_data_acceptance,
    # `1` is taken for `true`, as pydantic does
    negative_data_rejection,
]
schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_documented(case: Any) -> None:
    _answers_as_documented(case)


@pytest.mark.long
@schema.parametrize()
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_documented_again_and_again(case: Any) -> None:
    _answers_as_documented(case)


def _answers_as_documented(case: Any) -> None:
    if case.path.endswith(("/claim", "/topics/{topic}/events")):
        _without_waiting(case)
    case.call_and_validate(excluded_checks=UNSUITABLE)


def _without_waiting(case: Any) -> None:
    if isinstance(case.body, dict) and isinstance(case.body.get("wait_s", 10), int | float):
        case.body["wait_s"] = min(case.body.get("wait_s", 0), 0)
    if isinstance(case.query, dict) and "wait_s" in case.query:
        case.query["wait_s"] = 0
