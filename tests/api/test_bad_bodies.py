"""Bodies that mean nothing, or too much, are refused before anything else looks at them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Response

from api.app import create_app
from api.requests import LARGE_BODY_BYTES, MOST_BODY_BYTES
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.s3 import Store
from tests.api.refusing import refused
from tests.api.unchanged import nothing_changes
from tests.client import As
from tests.world import World

MEBIBYTE = 2**20
ANSWERS = "/v1/work/answers"
GOLD = f"/v1/projects/{uuid4()}/gold"
NOT_JSON = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"name"',
    b'{"name": "x"} {"name": "y"}',
    b'{"name": "x", "name": "y"}',
    b'{"name": {"a": 1, "a": 2}}',
    b'{"name": NaN}',
    b'{"name": -Infinity}',
    b'{"name": 1e400}',
    b'{"name": ' + b"9" * 5000 + b"}",
    b'{"name": "\\u0000"}',
    b'{"name": "a\\\\\\u0000"}',
    b'{"name": "\x00"}',
    b'{"\\u0000": "x"}',
    b'{"name": "\\ud800"}',
    b'{"name": "\xff"}',
    b'{"name": "\xed\xa0\x80"}',
    b'\xef\xbb\xbf{"name": "x"}',
    '{"name": "x"}'.encode("utf-16"),
    b'{"name": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    b'{"name": ' + b"[" * 100_000,
]


async def send(
    someone: As,
    raw: bytes | AsyncIterator[bytes],
    path: str = "/v1/organisations",
    *,
    media_type: str | None = "application/json",
) -> Response:
    headers = {**someone.headers} | ({"Content-Type": media_type} if media_type else {})
    return await someone.http.post(path, content=raw, headers=headers)


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, MEBIBYTE):
        yield b" " * MEBIBYTE


async def test_ten_megabytes_are_too_much_announced_or_not(
    world: World, sessions: db.Sessions
) -> None:
    operator = await world.person("operator")
    async with nothing_changes(sessions):
        for raw in (b" " * 10 * MEBIBYTE, in_pieces(10 * MEBIBYTE)):
            assert refused(await send(operator, raw), 413, "body-too-large")


async def test_a_body_of_the_most_bytes_is_read(world: World) -> None:
    operator = await world.person("operator")
    body = b'{"name": "Mosaic Ltd"}'.ljust(MOST_BODY_BYTES)
    assert (await send(operator, body)).status_code == 201
    assert refused(await send(operator, body + b" "), 413, "body-too-large")


async def test_only_annotations_may_come_in_large_bodies(world: World) -> None:
    owner, project = await world.launched()
    body = b'{"coco": {}}'.ljust(LARGE_BODY_BYTES)
    gold = f"/v1/projects/{project['id']}/gold"
    assert refused(await send(owner, body, gold), 422, "bad-coco")
    assert refused(await send(owner, body + b" ", gold), 413, "body-too-large")


async def test_a_large_body_is_read_only_for_somebody_we_know(world: World) -> None:
    sent = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(LARGE_BODY_BYTES // MEBIBYTE):
            sent += MEBIBYTE
            yield b"[],".ljust(MEBIBYTE)

    stranger = As(world.http, "tss_nobody")
    for path in (ANSWERS, GOLD):
        assert refused(await send(stranger, counted(), path), 401, "bad-token")
        assert refused(await send(As(world.http, ""), counted(), path), 401, "unauthenticated")
    assert sent == 0


@pytest.mark.long
async def test_a_body_that_would_take_long_to_read_is_refused_unread(world: World) -> None:
    earner = await world.earner()
    for many in (b"[],", b"{},", b"1,", b'"a",', b'{"a":1},', b"[" * 900 + b"]" * 900 + b","):
        room = LARGE_BODY_BYTES - len(b"[1]")
        raw = b"[" + many * (room // len(many)) + b"1]"
        got = await send(earner, raw, ANSWERS)
        assert refused(got)
        assert "too many parts" in got.text, many


async def test_what_is_not_json_with_one_meaning_is_refused(
    world: World, sessions: db.Sessions
) -> None:
    operator = await world.person("operator")
    async with nothing_changes(sessions):
        got = [(raw[:40], await send(operator, raw)) for raw in NOT_JSON]
    assert [(raw, answer.text) for raw, answer in got if not refused(answer)] == []


async def test_the_refusal_says_what_is_wrong(world: World) -> None:
    operator = await world.person("operator")
    got = await send(operator, b'{"name": "x", "name": "y"}')
    (error,) = got.json()["errors"]
    assert error["at"] == ["body"]
    assert "the same name twice" in error["why"]


async def test_an_escaped_backslash_before_u0000_is_text(world: World) -> None:
    operator = await world.person("operator")
    got = await send(operator, b'{"name": "a\\\\u0000"}')
    assert got.json()["name"] == r"a\u0000"


async def test_other_media_types_than_json_are_refused(world: World, sessions: db.Sessions) -> None:
    operator = await world.person("operator")
    for media_type in (None, "", "text/plain", "text/json", "multipart/form-data", "json"):
        async with nothing_changes(sessions):
            got = await send(operator, b'{"name": "Mosaic Ltd"}', media_type=media_type)
        assert refused(got, 415, "unsupported-media-type"), media_type


async def test_a_charset_may_be_said(world: World) -> None:
    operator = await world.person("operator")
    got = await send(operator, b'{"name": "Mosaic"}', media_type="Application/JSON; charset=utf-8")
    assert got.status_code == 201


async def test_unknown_fields_are_refused_and_named(world: World, sessions: db.Sessions) -> None:
    operator = await world.person("operator")
    async with nothing_changes(sessions):
        got = await operator.call(
            "POST", "/v1/organisations", {"name": "Mosaic Ltd", "is_platform": True}
        )
    assert refused(got)
    assert got.json()["errors"] == [
        {"at": ["body", "is_platform"], "why": "Extra inputs are not permitted"}
    ]


async def test_unknown_parameters_are_refused_and_named(world: World) -> None:
    operator = await world.person("operator")
    got = await operator.call("GET", "/v1/organisations?state=open")
    assert refused(got)
    assert got.json()["errors"] == [
        {"at": ["query", "state"], "why": "There is no such parameter."}
    ]


def test_no_body_of_any_route_takes_fields_that_it_does_not_name(
    settings: Settings, store: Store
) -> None:
    api = create_app(settings, None, store).openapi()  # type: ignore[arg-type]
    schemas = api["components"]["schemas"]
    bodies = {
        name
        for methods in api["paths"].values()
        for operation in methods.values()
        for name in _models(operation.get("requestBody"), schemas)
    }
    assert len(bodies) > 20
    open_ones = {
        name
        for name in bodies
        if "properties" in schemas[name] and schemas[name].get("additionalProperties") is not False
    }
    assert open_ones == set()


def _models(schema: Any, schemas: dict[str, Any]) -> list[str]:
    """All models that a schema refers to, and those that they refer to."""
    if isinstance(schema, list):
        return [name for each in schema for name in _models(each, schemas)]
    if not isinstance(schema, dict):
        return []
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return [name, *_models(schemas[name], schemas)]
    return _models(list(schema.values()), schemas)


@pytest.mark.parametrize("path", ["/v1/projects/1", "/v1/projects/%00", "/v1/datasets/" + "A" * 64])
async def test_an_id_of_another_form_is_refused(path: str, world: World) -> None:
    operator = await world.person("operator")
    assert refused(await operator.call("GET", path))
