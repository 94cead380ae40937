"""What leaves: the name of every field of every answer, and of every fact in a refusal.

`field_table` says what may. A field that is not in there fails these tests, until somebody has
decided that whoever may call the route may also read it.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from httpx2 import AsyncClient

from api.app import create_app
from tessera.kernel.errors import DomainError
from tessera.kernel.settings import Settings
from tessera.storage.s3 import Store
from tests.api.authorisation_table import ANYBODY, EARNERS, EVERYBODY, TABLE
from tests.api.field_table import FACTS, FIELDS, NOT_FOR_EARNERS
from tests.api.tenants import Tenants
from tests.api.test_authorisation import call

ROOT = Path(__file__).parents[2]
OPEN = "{}"
"""Behind the name of what is an object of any shape: the operator's own words, or a file's."""


@pytest.fixture(scope="module")
def document(settings: Settings) -> dict[str, Any]:
    return create_app(settings, cast("Any", None), cast("Store", None)).openapi()


def declared(document: Mapping[str, Any], route: str) -> frozenset[str]:
    method, path = route.split()
    responses = document["paths"][path][method.lower()]["responses"]
    (good,) = [each for status, each in responses.items() if status.startswith("2")]
    content = good.get("content", {}).get("application/json", {})
    return frozenset(_fields(document, content.get("schema", {}), ""))


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any], name: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _fields(document, each, name)
    elif "properties" in schema:
        for key, each in schema["properties"].items():
            yield from _fields(document, each, f"{name}.{key}".lstrip("."))
    elif schema.get("type") == "array":
        yield from _fields(document, schema.get("items", {}), f"{name}[]")
    elif schema.get("type") == "object":
        yield name + OPEN
    elif name and schema.get("type") != "null":
        yield name


def test_every_route_answers_with_the_fields_of_the_table_and_no_other(
    document: dict[str, Any],
) -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    live = {route: declared(document, route) for route in routes & FIELDS.keys()}
    wrong = {
        route: {
            "not decided": sorted(live[route] - FIELDS[route]),
            "gone": sorted(FIELDS[route] - live[route]),
        }
        for route in live
        if live[route] != FIELDS[route]
    }
    assert not wrong
    assert FIELDS.keys() == routes


@pytest.mark.parametrize("route", [route for route in FIELDS if TABLE[route].status < 300])
async def test_what_is_really_sent_is_what_the_table_says(
    route: str, undone: AsyncClient, tenants: Tenants
) -> None:
    caller = next((who for who in tenants.callers if who in TABLE[route].who), "owner")
    response = await call(undone, tenants.callers[caller], route, TABLE[route], tenants.a)
    assert response.status_code == TABLE[route].status
    if response.content and FIELDS[route]:
        sent = set(_sent(response.json(), "", FIELDS[route]))
        assert sent <= FIELDS[route]
        first = {each.partition(".")[0].rstrip("[]{}") for each in FIELDS[route]}
        assert not isinstance(response.json(), dict) or first == response.json().keys()


def _sent(value: Any, name: str, allowed: frozenset[str]) -> Iterator[str]:
    if name + OPEN in allowed:
        yield name + OPEN
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _sent(each, f"{name}.{key}".lstrip("."), allowed)
    elif isinstance(value, list):
        for each in value:
            yield from _sent(each, f"{name}[]", allowed)
    elif value is not None:
        yield name


def test_nothing_that_tells_gold_or_people_is_among_what_earners_read() -> None:
    read = {
        f"{route}: {field}"
        for route in FIELDS
        if TABLE[route].who in (EARNERS, EVERYBODY, ANYBODY)
        for field in FIELDS[route]
        if NOT_FOR_EARNERS & set(field.replace("[]", "").split("."))
    }
    assert not read


def test_a_refusal_tells_no_fact_that_is_not_in_the_table() -> None:
    kinds = {each.__name__ for each in _below(DomainError)}
    told = {
        word.arg
        for folder in ("tessera", "api")
        for path in (ROOT / folder).rglob("*.py")
        if "cli" not in path.parts  # which refuses on a terminal
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds
        for word in node.keywords
        if word.arg
    }
    assert told == FACTS


def _below(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)
