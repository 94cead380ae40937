"""Whatever the OpenAPI document allows, and what it forbids, sent to the API as it really runs.

Something else in each run; what fails says how to send the same again.
"""

import os
import re
import secrets
from typing import Any, cast
from zlib import crc32

import hypothesis
import pytest
import schemathesis
from pydantic import TypeAdapter
from schemathesis import GenerationMode
from schemathesis.core import NotSet
from schemathesis.specs.openapi import checks as openapi

from api.app import create_app
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.s3 import Store
from tests.api.serving import Served
from tests.api.tenants import Place, Tenants, nowhere

UNUSED = "postgresql://nobody@localhost/none"
app = create_app(
    TypeAdapter(Settings).validate_python(
        {
            "database_url": UNUSED,
            "redis_url": "redis://localhost",
            "s3_endpoint": "http://localhost",
            "s3_access_key": "none",
            "s3_secret_key": "none",
            "s3_bucket": "none",
            "rate_limits": False,
        }
    ),
    cast("db.Sessions", None),
    cast("Store", None),
)
schema = schemathesis.openapi.from_dict(app.openapi())
OPERATIONS = [
    operation["operationId"]
    for path, methods in app.openapi()["paths"].items()
    for operation in methods.values()
    if path != "/v1/sessions/current"
]
CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_schema_conformance,
    openapi.negative_data_rejection,
    openapi.unsupported_method,
]
SEED = os.environ.get("SEED") or secrets.token_hex(4)
MANY = hypothesis.settings(
    max_examples=100,
    derandomize=False,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    print_blob=False,
)


def check(case: schemathesis.Case[Any], served: Served, tenants: Tenants) -> None:
    """Send a case, mostly about things that there are, as somebody who may."""
    # of what is not sent nothing can be wrong
    hypothesis.assume(all(is_sent(value) for value in (case.query or {}).values()))
    hypothesis.assume(not left_out(case))
    body = case.body if isinstance(case.body, dict) else None
    number = crc32(repr((case.path_parameters, case.query, body)).encode(errors="replace"))
    place = nowhere(tenants.a) if number % 4 == 0 else tenants.a
    case.path_parameters = existing(case.path_parameters, place)
    case.body = existing(case.body, place)
    caller = "owner"
    if re.match("/v1/(work|earnings|payout)", case.path):
        caller = "earner"
    elif case.path.startswith("/v1/finance"):
        caller = "platform"
    headers = {"Authorization": f"Bearer {tenants.callers[caller]}"}
    case.call_and_validate(base_url=served.url, headers=headers, checks=CHECKS)


def left_out(case: schemathesis.Case[Any]) -> bool:
    """Whether a body could be sent, and is not."""
    bodies = list(case.operation.body)
    may = bool(bodies) and not any(each.is_required for each in bodies)
    return may and isinstance(case.body, NotSet)


def is_sent(value: Any) -> bool:
    """Whether a query says anything of a parameter that has this value: of `[{}]` it does not."""
    if isinstance(value, list):
        return any(each not in (None, [], {}) for each in value)
    return value is not None


def existing(values: Any, place: Place) -> Any:
    """The same values, but with ids of our own for those that are well-formed."""
    if not isinstance(values, dict):
        return values
    return {
        name: place[name] if name in place and is_id(value) else value
        for name, value in values.items()
    }


def is_id(value: Any) -> bool:
    return bool(re.fullmatch("[0-9a-f]{64}|[0-9a-fA-F-]{36}", str(value)))


@pytest.mark.long
@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_the_api_keeps_to_its_document(operation_id: str, served: Served, tenants: Tenants) -> None:
    print(f"The same again: SEED={SEED} pytest ...")  # noqa: T201 - shown with what fails
    operation = schema.find_operation_by_id(operation_id)
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @hypothesis.seed(f"{SEED} {operation_id}")
    @hypothesis.settings(MANY)
    @hypothesis.given(right | wrong)
    def run(case: schemathesis.Case[Any]) -> None:
        check(case, served, tenants)

    run()
