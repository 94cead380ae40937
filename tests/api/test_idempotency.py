"""A request that is sent twice is done once, and answered alike both times."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import iter_route_contexts
from httpx2 import AsyncClient, Response
from sqlalchemy import func, select, text, update

from api.app import create_app
from api.idempotency import NEVER_STORED, REPLAYED
from tessera.accounts.models import Organisation, Role, Session
from tessera.accounts.tokens import digest
from tessera.kernel import db
from tessera.kernel.idempotency import IdempotencyKey
from tessera.kernel.settings import Settings
from tessera.ledger.models import Transfer
from tessera.storage.s3 import Store
from tests.client import As
from tests.world import PASSWORD, RIGHT, World, answers

KEY = {"Idempotency-Key": "one and the same"}
FOUND = ("POST", "/v1/organisations", {"name": "Mosaic Ltd"})


async def count(sessions: db.Sessions, model: Any) -> int:
    async with db.reading(sessions) as reader:
        return (await reader.execute(select(func.count()).select_from(model))).scalar_one()


def same(first: Response, again: Response) -> bool:
    return (
        (again.status_code, again.content) == (first.status_code, first.content)
        and again.headers.get("content-type") == first.headers.get("content-type")
        and REPLAYED not in first.headers
        and again.headers[REPLAYED] == "true"
    )


async def test_a_repeat_gets_the_same_bytes_and_does_nothing(
    world: World, sessions: db.Sessions
) -> None:
    operator = await world.person("operator")
    first = await operator.call(*FOUND, headers=KEY)
    again = await operator.call(*FOUND, headers=KEY)
    assert first.status_code == 201
    assert same(first, again)
    assert await count(sessions, Organisation) == 1


async def test_another_key_is_another_request(world: World, sessions: db.Sessions) -> None:
    operator = await world.person("operator")
    for number in range(2):
        await operator.call(*FOUND, headers={"Idempotency-Key": str(number)})
    assert await count(sessions, Organisation) == 2


async def test_an_answer_without_a_body_is_repeated_too(world: World) -> None:
    owner, organisation_id = await world.operator()
    keys = f"/v1/organisations/{organisation_id}/api-keys"
    key = await owner.post(keys, {"name": "program", "scopes": ["projects:read"]})
    first, again = [
        await owner.call("DELETE", f"{keys}/{key['id']}", headers=KEY) for _ in range(2)
    ]
    assert first.status_code == 204
    assert same(first, again)
    assert again.content == b""


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/organisations", {"name": "Another"}), ("/v1/organisations", {"name": "Mosaic Ltd "})],
)
async def test_the_same_key_with_another_request_is_refused(
    path: str, body: dict[str, str], world: World, sessions: db.Sessions
) -> None:
    operator = await world.person("operator")
    await operator.call(*FOUND, headers=KEY)
    refused = await operator.call("POST", path, body, headers=KEY)
    assert refused.status_code == 422
    assert refused.json()["code"] == "idempotency-key-reused"
    assert await count(sessions, Organisation) == 1


async def test_twenty_at_once_have_one_effect_and_one_answer(
    world: World, sessions: db.Sessions
) -> None:
    (finance,) = await world.finance(1)
    _, organisation_id = await world.operator()
    body = {
        "organisation_id": organisation_id,
        "amount_micro": 5_000_000,
        "currency": "USD",
        "reference": "bank 1",
    }
    got = await asyncio.gather(
        *(finance.call("POST", "/v1/finance/deposits", body, headers=KEY) for _ in range(20))
    )
    assert {(one.status_code, one.content) for one in got} == {(201, got[0].content)}
    assert sum(REPLAYED in one.headers for one in got) == 19
    assert await count(sessions, Transfer) == 1


async def test_the_key_is_the_persons_and_survives_a_new_login(
    world: World, sessions: db.Sessions
) -> None:
    operator = await world.person("operator")
    first = await operator.call(*FOUND, headers=KEY)
    credentials = {"email": operator.email, "password": PASSWORD}
    token = (await As(world.http).post("/v1/sessions", credentials))["token"]
    assert same(first, await As(world.http, token).call(*FOUND, headers=KEY))
    assert await count(sessions, Organisation) == 1


async def test_nobody_gets_the_answer_to_somebody_elses_key(world: World) -> None:
    first = await (await world.person("operator")).call(*FOUND, headers=KEY)
    other = await (await world.person("operator")).call(*FOUND, headers=KEY)
    assert other.status_code == 201
    assert REPLAYED not in other.headers
    assert other.json()["id"] != first.json()["id"]


async def test_an_api_key_does_not_get_the_answers_of_its_maker(world: World) -> None:
    owner, organisation_id = await world.operator()
    project = await world.project(owner, organisation_id)
    made = await owner.post(
        f"/v1/organisations/{organisation_id}/api-keys",
        {"name": "program", "scopes": ["projects:read"]},
    )
    rename = ("PATCH", f"/v1/projects/{project['id']}", {"name": "Renamed"})
    assert (await owner.call(*rename, headers=KEY)).status_code == 200
    assert (await As(world.http, made["key"]).call(*rename, headers=KEY)).status_code == 403


async def test_a_revoked_token_gets_no_answer_again(world: World, sessions: db.Sessions) -> None:
    operator = await world.person("operator")
    await operator.call(*FOUND, headers=KEY)
    async with db.transaction(sessions) as session:
        mine = Session.token_sha256 == digest(operator.token)
        await session.execute(update(Session).where(mine).values(revoked_at=func.now()))
    assert (await operator.call(*FOUND, headers=KEY)).status_code == 401


async def test_what_was_refused_is_forgotten_and_tried_again(
    world: World, sessions: db.Sessions
) -> None:
    owner, organisation_id = await world.operator()
    person_id = (await owner.get("/v1/me"))["person_id"]
    member = f"/v1/organisations/{organisation_id}/members/{person_id}"
    step_down = ("PATCH", member, {"role": "manager"})
    assert (await owner.call(*step_down, headers=KEY)).json()["code"] == "last-owner"
    assert await count(sessions, IdempotencyKey) == 0
    await world.member(owner, organisation_id, Role.OWNER)
    tried_again = await owner.call(*step_down, headers=KEY)
    assert tried_again.status_code == 200
    assert REPLAYED not in tried_again.headers


async def test_refused_answers_are_judged_afresh(world: World, sessions: db.Sessions) -> None:
    earner = await world.earner()
    leases = [{"lease_id": str(uuid4()), "fence": 1} for _ in range(2)]
    for few in (leases[:1], leases):
        for _ in range(2):
            refused = await earner.call(
                "POST", "/v1/work/answers", answers(few, RIGHT), headers=KEY
            )
            assert refused.status_code == (404 if len(few) == 1 else 409)
            assert refused.headers["content-type"] == "application/problem+json"
            assert REPLAYED not in refused.headers
    assert await count(sessions, IdempotencyKey) == 0


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_a_key_has_1_to_200_characters(key: str, world: World) -> None:
    operator = await world.person("operator")
    refused = await operator.call(*FOUND, headers={"Idempotency-Key": key})
    assert refused.status_code == 422
    assert refused.json()["code"] == "invalid-request"


async def test_keys_without_a_caller_bind_nobody(http: AsyncClient) -> None:
    for number in range(2):
        body = {
            "email": f"{number}@example.org",
            "password": PASSWORD,
            "name": "New",
            "kind": "earner",
        }
        assert (await As(http).call("POST", "/v1/sign-up", body, headers=KEY)).status_code == 201


async def test_no_secret_and_no_link_is_ever_stored(world: World, sessions: db.Sessions) -> None:
    owner, organisation_id = await world.operator()
    project = await world.project(owner, organisation_id)
    of_project = f"/v1/projects/{project['id']}"
    calls = [
        ("/v1/sessions", {"email": owner.email, "password": PASSWORD}, "token"),
        (
            f"/v1/organisations/{organisation_id}/api-keys",
            {"name": "program", "scopes": ["projects:read"]},
            "key",
        ),
        (f"/v1/organisations/{organisation_id}/invitations", {"role": "manager"}, "token"),
        (
            f"{of_project}/images",
            {"files": [{"name": "1.jpg", "content_type": "image/jpeg"}]},
            "uploads",
        ),
        (f"{of_project}/imports", {"source": "zip"}, "put_url"),
    ]
    for path, body, secret in calls:
        got = await owner.call("POST", path, body, headers=KEY)
        assert got.json()[secret]
    assert await count(sessions, IdempotencyKey) == 0


def test_the_routes_that_store_nothing_are_these(settings: Settings, store: Store) -> None:
    """A route that begins to answer with a secret belongs here; one that does not, does not."""
    app = create_app(settings, None, store)  # type: ignore[arg-type]
    exempt = {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if NEVER_STORED in (getattr(route, "openapi_extra", None) or {})
    }
    assert exempt == {
        "POST /v1/sign-up",
        "POST /v1/sessions",
        "PUT /v1/me/password",
        "POST /v1/organisations/{organisation_id}/invitations",
        "POST /v1/organisations/{organisation_id}/api-keys",
        "POST /v1/projects/{project_id}/images",
        "POST /v1/projects/{project_id}/imports",
        "POST /v1/projects/{project_id}/annotation-imports",
        "POST /v1/work/leases",
        "POST /v1/work/training/{project_id}/attempts",
        "POST /v1/finance/payout-batches/{batch_id}/export",
    }


def test_every_other_route_that_changes_something_documents_the_key(
    settings: Settings, store: Store
) -> None:
    app = create_app(settings, None, store)  # type: ignore[arg-type]
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            names = [each["name"] for each in operation.get("parameters", [])]
            stores = method != "get" and NEVER_STORED not in operation
            assert ("Idempotency-Key" in names) is stores, f"{method} {path}"


async def test_keys_are_forgotten_after_two_days_and_not_before(
    world: World, sessions: db.Sessions
) -> None:
    operator = await world.person("operator")
    await operator.call(*FOUND, headers=KEY)
    await world.work.sweep("forget-idempotency-keys")
    assert await count(sessions, IdempotencyKey) == 1
    async with db.transaction(sessions) as session:
        age = text("now() - interval '49 hours'")
        await session.execute(update(IdempotencyKey).values(created_at=age))
    await world.work.sweep("forget-idempotency-keys")
    assert await count(sessions, IdempotencyKey) == 0
