"""Whatever fits the published schema, and what does not, is answered as the schema says, and never with 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.server.process import server_process


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_process(tmp_path_factory.mktemp("openapi") / "server.db") as server:
        yield f"{server.url}/openapi.json"


@pytest.fixture(scope="module")
def few(url: str) -> Any:
    """Without a request for each bound of each field."""
    config = SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": False}}})
    return schemathesis.openapi.from_url(url, config=config)


@pytest.fixture(scope="module")
def many(url: str) -> Any:
    return schemathesis.openapi.from_url(url)


UNSUITABLE = [
    # ids, images and cursors have rules that a JSON schema does not tell, and an unknown run is no fault of the request
    positive_data_acceptance,
    # `1` is taken for `true`, as pydantic does
    negative_data_rejection,
]


@schemathesis.pytest.from_fixture("few").parametrize()
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_documented(case: Any) -> None:
    _answers_as_documented(case)


@pytest.mark.long
@schemathesis.pytest.from_fixture("many").parametrize()
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_documented_again_and_again(case: Any) -> None:
    _answers_as_documented(case)


def _answers_as_documented(case: Any) -> None:
    if case.path.endswith(("/claim", "/ended", "/topics/{topic}/events")):
        _without_waiting(case)
    case.call_and_validate(excluded_checks=UNSUITABLE)


def _without_waiting(case: Any) -> None:
    if isinstance(case.body, dict) and isinstance(case.body.get("wait_s", 10), int | float):
        case.body["wait_s"] = min(case.body.get("wait_s", 0), 0)
    if isinstance(case.query, dict) and "wait_s" in case.query:
        case.query["wait_s"] = 0
