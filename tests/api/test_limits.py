"""Rate limits: exact however many call at once, and Redis may go at any time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from prometheus_client import REGISTRY
from pydantic import RedisDsn
from redis.asyncio import Redis

from api.app import create_app
from api.limits import LIMITS, WORK, Limiter, counted_as, network
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.s3 import Store
from tests.api.refusing import refused
from tests.api.unchanged import nothing_changes
from tests.client import As
from tests.world import PASSWORD, RIGHT, World, answers

LOGINS, SIGN_UPS = LIMITS["login"].item.amount, LIMITS["sign-up"].item.amount
LOGIN = {"email": "nobody@example.org", "password": "a wrong password"}


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    redis = Redis.from_url(str(settings.redis_url))
    await redis.flushall()
    yield redis
    await redis.aclose()


@asynccontextmanager
async def limited(
    settings: Settings, sessions: db.Sessions, store: Store, address: str = "203.0.113.1"
) -> AsyncIterator[AsyncClient]:
    """A process of its own that has limits, called from an address."""
    app = create_app(settings.model_copy(update={"rate_limits": True}), sessions, store)
    async with called_from(address, app) as client, app.router.lifespan_context(app):
        yield client


def called_from(address: str, app: FastAPI) -> AsyncClient:
    transport = ASGITransport(app, raise_app_exceptions=False, client=(address, 1234))
    return AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
async def here(
    settings: Settings,
    sessions: db.Sessions,
    store: Store,
    redis: Redis,  # noqa: ARG001 - empties it
) -> AsyncIterator[AsyncClient]:
    async with limited(settings, sessions, store) as client:
        yield client


async def at_once(calls: int, http: AsyncClient, path: str, body: Any, **headers: str) -> Any:
    """Status codes and how often each, of calls of which many are under way at any time."""
    places = asyncio.Semaphore(40)

    async def one() -> Response:
        async with places:
            return await http.post(path, json=body, headers=headers)

    got = await asyncio.gather(*(one() for _ in range(calls)))
    assert all(limited_well(answer) for answer in got if answer.status_code == 429)
    codes = [answer.status_code for answer in got]
    return {code: codes.count(code) for code in set(codes)}


def limited_well(answer: Response) -> bool:
    return refused(answer, 429, "rate-limited") and 1 <= int(answer.headers["retry-after"]) <= 3600


async def test_so_many_logins_are_let_through_from_one_address(here: AsyncClient) -> None:
    assert await at_once(LOGINS + 15, here, "/v1/sessions", LOGIN) == {401: LOGINS, 429: 15}


async def test_what_a_request_says_of_itself_does_not_lift_the_limit(here: AsyncClient) -> None:
    await at_once(LOGINS, here, "/v1/sessions", LOGIN)
    for headers in (
        {"Authorization": "Bearer made up"},
        {"X-Forwarded-For": "198.51.100.1"},
        {"Forwarded": "for=198.51.100.1"},
        {"X-Real-IP": "198.51.100.1"},
    ):
        got = await here.post("/v1/sessions", json=LOGIN, headers=headers)
        assert limited_well(got), headers


async def test_processes_count_together_and_addresses_apart(
    here: AsyncClient, settings: Settings, sessions: db.Sessions, store: Store
) -> None:
    async with limited(settings, sessions, store) as second:
        counted = [await at_once(LOGINS, each, "/v1/sessions", LOGIN) for each in (here, second)]
    assert counted == [{401: LOGINS}, {429: LOGINS}]
    async with limited(settings, sessions, store, "203.0.113.2") as elsewhere:
        assert await at_once(1, elsewhere, "/v1/sessions", LOGIN) == {401: 1}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.1", "203.0.113.1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::1", "0.0.0.1", False),
    ],
)
def test_addresses_that_one_customer_is_given_count_as_one(
    one: str, other: str, *, same: bool
) -> None:
    assert (network(one) == network(other)) is same


async def test_another_address_of_the_same_network_does_not_lift_the_limit(
    settings: Settings,
    sessions: db.Sessions,
    store: Store,
    redis: Redis,  # noqa: ARG001 - empties it
) -> None:
    app = create_app(settings.model_copy(update={"rate_limits": True}), sessions, store)
    async with app.router.lifespan_context(app):
        for address in (f"2001:db8::{n}" for n in range(LOGINS)):
            async with called_from(address, app) as http:
                assert (await http.post("/v1/sessions", json=LOGIN)).status_code == 401
        async with called_from("2001:db8::ffff", app) as http:
            assert limited_well(await http.post("/v1/sessions", json=LOGIN))
        async with called_from("2001:db8:0:1::", app) as http:
            assert (await http.post("/v1/sessions", json=LOGIN)).status_code == 401


async def test_an_account_is_tried_so_often_from_all_addresses_together(
    here: AsyncClient, settings: Settings
) -> None:
    limiter = Limiter(str(settings.redis_url))
    for _ in range(LIMITS["login-account"].item.amount):
        await limiter.hit("login-account", LOGIN["email"])
    await limiter.close()
    assert limited_well(await here.post("/v1/sessions", json=LOGIN))
    upper = {**LOGIN, "email": LOGIN["email"].upper()}
    assert limited_well(await here.post("/v1/sessions", json=upper))
    other = {**LOGIN, "email": "other@example.org"}
    assert refused(await here.post("/v1/sessions", json=other), 401, "bad-credentials")


async def test_so_many_sign_ups_are_let_through_from_one_address(here: AsyncClient) -> None:
    body = {"email": "a@example.org", "password": PASSWORD, "name": "A", "kind": "earner"}
    got = await at_once(SIGN_UPS + 5, here, "/v1/sign-up", body)
    assert got == {201: 1, 409: SIGN_UPS - 1, 429: 5}


@pytest.mark.parametrize(("call", "name"), WORK.items())
def test_a_call_counts_by_its_route_whatever_it_is_about(call: tuple[str, str], name: str) -> None:
    method, path = call
    about = path.format(project_id=uuid4(), lease_id=uuid4())
    assert counted_as(method, about) == name
    assert counted_as("GET", about) is None
    assert counted_as(method, f"{about}/other") is None


async def test_training_is_limited_like_work(here: AsyncClient, world: World) -> None:
    earner = await world.earner()
    token = {"Authorization": f"Bearer {earner.token}"}
    most = LIMITS["lease"].item.amount
    path = f"/v1/work/training/{uuid4()}/attempts"
    assert await at_once(most, here, path, {}, **token) == {404: most}
    assert await at_once(1, here, "/v1/work/leases", {}, **token) == {429: 1}


def asked_for(name: str) -> tuple[str, Any, int]:
    """A call of work that is in order, if useless: its path, body and status."""
    if name == "lease":
        return "/v1/work/leases", {}, 200
    return "/v1/work/answers", answers([{"lease_id": "0" * 32, "fence": 1}], RIGHT), 404


@pytest.mark.parametrize("name", ["lease", pytest.param("answer", marks=pytest.mark.long)])
async def test_work_is_limited_by_person_however_their_token_is_written(
    name: str, here: AsyncClient, world: World
) -> None:
    most = LIMITS[name].item.amount
    earner, other = await world.earner(), await world.earner()
    path, body, fine = asked_for(name)
    token = {"Authorization": f"Bearer {earner.token}"}
    assert await at_once(most + 20, here, path, body, **token) == {fine: most, 429: 20}
    for spelt in (f"bEARER {earner.token}", f"Bearer   {earner.token} "):
        again = await here.post(path, json=body, headers={"Authorization": spelt})
        assert limited_well(again), spelt
    theirs = {"Authorization": f"Bearer {other.token}"}
    assert await at_once(1, here, path, body, **theirs) == {fine: 1}


@pytest.mark.parametrize("name", ["lease", pytest.param("answer", marks=pytest.mark.long)])
async def test_whoever_logs_in_twice_may_not_work_twice_as_fast(
    name: str, here: AsyncClient, world: World, settings: Settings, store: Store
) -> None:
    earner = await world.earner()
    login = {"email": earner.email, "password": PASSWORD}
    second = (await As(here).post("/v1/sessions", login))["token"]
    assert second != earner.token
    path, body, fine = asked_for(name)
    most = LIMITS[name].item.amount
    first = {"Authorization": f"Bearer {earner.token}"}
    assert await at_once(most, here, path, body, **first) == {fine: most}
    async with limited(settings, world.sessions, store) as elsewhere:
        for process in (here, elsewhere):
            again = await process.post(
                path, json=body, headers={"Authorization": f"Bearer {second}"}
            )
            assert limited_well(again)


@pytest.mark.long
async def test_a_repeatable_request_is_counted_before_its_transaction_is_open(
    here: AsyncClient, world: World
) -> None:
    earner = await world.earner()
    path, body, fine = asked_for("answer")
    most = LIMITS["answer"].item.amount
    headers = {"Authorization": f"Bearer {earner.token}", "Idempotency-Key": "k"}
    assert await at_once(most + 5, here, path, body, **headers) == {fine: most, 429: 5}


async def test_whom_nobody_knows_is_refused_and_not_counted(here: AsyncClient) -> None:
    path, body, _ = asked_for("lease")
    most = LIMITS["lease"].item.amount
    made_up = {"Authorization": "Bearer made up"}
    assert await at_once(most + 5, here, path, body, **made_up) == {401: most + 5}
    assert await at_once(2, here, path, body) == {401: 2}


async def test_a_token_that_was_revoked_is_of_no_use_though_its_person_is_remembered(
    here: AsyncClient, world: World
) -> None:
    earner = As(here, (await world.earner()).token)
    path, body, fine = asked_for("lease")
    await earner.post(path, body, status=fine)
    await earner.delete("/v1/sessions/current")
    assert refused(await earner.call("POST", path, body), 401, "bad-token")


async def test_what_was_too_many_is_measured(here: AsyncClient) -> None:
    before = value("tessera_rate_limited_total", limit="login")
    await at_once(LOGINS + 3, here, "/v1/sessions", LOGIN)
    assert value("tessera_rate_limited_total", limit="login") == before + 3


async def test_calls_are_never_counted_inside_a_transaction(
    sessions: db.Sessions, settings: Settings
) -> None:
    limiter = Limiter(str(settings.redis_url))
    for begin in (db.transaction, db.reading):
        async with begin(sessions):
            for name in LIMITS:
                with pytest.raises(db.NetworkCallInTransaction):
                    await limiter.hit(name, "somebody")
    await limiter.close()


async def test_a_transaction_within_another_leaves_the_other_open(sessions: db.Sessions) -> None:
    async with db.transaction(sessions):
        async with db.reading(sessions):
            pass
        with pytest.raises(db.NetworkCallInTransaction):
            db.forbid_in_transaction("a call")
    db.forbid_in_transaction("a call")


async def test_while_redis_is_down_work_goes_on_but_nobody_tries_passwords(
    world: World, settings: Settings, sessions: db.Sessions, store: Store
) -> None:
    earner = await world.earner()
    down = settings.model_copy(update={"redis_url": RedisDsn("redis://127.0.0.1:1/0")})
    async with limited(down, sessions, store) as http:
        async with nothing_changes(sessions):
            sign_up = {
                "email": "a@example.org",
                "password": PASSWORD,
                "name": "A",
                "kind": "earner",
            }
            for path, body in (("/v1/sessions", LOGIN), ("/v1/sign-up", sign_up)):
                got = await http.post(path, json=body)
                assert refused(got, 503, "unavailable")
                assert int(got.headers["retry-after"]) >= 1
        someone = As(http, earner.token)
        assert (await someone.post("/v1/work/leases", {}, status=200))["leases"] == []
        body = answers([{"lease_id": "0" * 32, "fence": 1}], RIGHT)
        assert refused(await someone.call("POST", "/v1/work/answers", body), 404, "lease-not-found")


async def test_a_redis_that_hangs_costs_a_call_now_and_then_some_time_and_the_others_none(
    world: World, settings: Settings, sessions: db.Sessions, store: Store
) -> None:
    asked = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        hung = settings.model_copy(update={"redis_url": RedisDsn(f"redis://127.0.0.1:{port}/0")})
        async with limited(hung, sessions, store) as http:
            earner = As(http, (await world.earner()).token)
            for _ in range(20):
                await earner.post("/v1/work/leases", {}, status=200)
            assert refused(await http.post("/v1/sessions", json=LOGIN), 503, "unavailable")
    assert asked < 20


def value(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0.0


async def test_flushing_redis_loses_nothing_but_the_counts(
    here: AsyncClient, world: World, redis: Redis, sessions: db.Sessions
) -> None:
    _, project = await world.launched()
    earner = As(here, (await world.earner()).token)
    handed = await earner.post("/v1/work/leases", {"project_id": project["id"]})
    async with nothing_changes(sessions):
        await redis.flushall()
    taken = await earner.post("/v1/work/answers", answers(handed["leases"], RIGHT))
    assert [result["accepted"] for result in taken["results"]] == [True]


def test_only_work_goes_on_uncounted() -> None:
    assert {name for name, limit in LIMITS.items() if not limit.closed_without_redis} == {
        "lease",
        "answer",
    }


def test_what_is_counted_by_person_are_routes_that_there_are(settings: Settings) -> None:
    paths = create_app(settings, cast("db.Sessions", None), cast("Store", None)).openapi()["paths"]
    assert all(method.lower() in paths[path] for method, path in WORK)
