"""When something goes wrong: what is said to whom, and what is not."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import insert, text
from structlog.testing import capture_logs

from api.app import create_app
from api.deps import Read, Sessions, Write
from api.idempotency import Route
from tessera.accounts.models import Person
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.ledger.models import Transfer
from tessera.storage.s3 import Store
from tests.api.refusing import refused
from tests.api.unchanged import nothing_changes

SECRET = "hunter2-canary"
router = APIRouter(prefix="/v1/test", route_class=Route)
"""Endpoints that go wrong in the ways that ours must not."""


@router.post("/unbalanced", status_code=201)
async def unbalanced(session: Write) -> dict[str, str]:
    """Writes half a transfer; Postgres notices only when it commits."""
    session.add(Transfer(reference="half", event="deposit", actor_id=None))
    await session.flush()
    return {"status": "made"}


@router.post("/bug")
async def bug() -> None:
    raise RuntimeError(f"SELECT {SECRET} FROM people")


@router.post("/constraint")
async def constraint(session: Write) -> None:
    """Breaks a constraint that no service expects; the driver's message quotes the row."""
    person = {"email": "UPPER@EXAMPLE.ORG", "password_hash": SECRET, "name": "x", "kind": "earner"}
    await session.execute(insert(Person).values(**person))


@router.post("/says/{how}")
async def gives_up(how: str, session: Write, sessions: Sessions) -> None:
    """Makes Postgres give up on a statement."""
    if how == "too slow":
        await session.execute(text("SET LOCAL statement_timeout = 20"))
        await session.execute(text("SELECT pg_sleep(5)"))
    elif how == "locked":
        await session.execute(text("LOCK people IN ACCESS EXCLUSIVE MODE"))
        async with db.transaction(sessions) as other:
            await other.execute(text("SET LOCAL lock_timeout = 20"))
            await other.execute(text("SELECT FROM people"))
    elif how == "gone":
        await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    elif how == "not serializable":
        await session.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))


@router.get("/timeouts")
async def timeouts(session: Read) -> dict[str, str]:
    return await _timeouts(session)


@router.post("/timeouts")
async def timeouts_of_writers(session: Write) -> dict[str, str]:
    return await _timeouts(session)


async def _timeouts(session: Any) -> dict[str, str]:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    return {
        name: (await session.execute(text(f"SELECT current_setting('{name}')"))).scalar_one()
        for name in names
    }


@asynccontextmanager
async def app_with_traps(
    settings: Settings, sessions: db.Sessions, store: Store
) -> AsyncIterator[AsyncClient]:
    app = create_app(settings, sessions, store)
    app.include_router(router)
    transport = ASGITransport(app, raise_app_exceptions=True)
    async with (
        AsyncClient(transport=transport, base_url="http://test") as http,
        app.router.lifespan_context(app),
    ):
        yield http


@pytest.fixture
async def traps(
    settings: Settings, sessions: db.Sessions, store: Store
) -> AsyncIterator[AsyncClient]:
    async with app_with_traps(settings, sessions, store) as http:
        yield http


@pytest.fixture
async def without_database(settings: Settings, store: Store) -> AsyncIterator[AsyncClient]:
    engine = db.create_engine("postgresql://nobody@127.0.0.1:1/none", application_name="tests")
    async with app_with_traps(settings, db.create_sessions(engine), store) as http:
        yield http
    await engine.dispose()


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["plain", "with a key"])
async def test_what_postgres_refuses_at_commit_is_no_success(
    headers: dict[str, str], traps: AsyncClient, sessions: db.Sessions
) -> None:
    async with nothing_changes(sessions):
        got = await traps.post("/v1/test/unbalanced", headers=headers)
    assert refused(got, 500, "internal-error")


@pytest.mark.parametrize("path", ["bug", "constraint"])
async def test_a_bug_tells_callers_nothing_and_the_log_where_but_no_values(
    path: str, traps: AsyncClient, sessions: db.Sessions
) -> None:
    async with nothing_changes(sessions):
        with capture_logs() as logs:
            got = await traps.post(f"/v1/test/{path}")
    assert refused(got, 500, "internal-error")
    assert set(got.json()) == {"type", "title", "status", "code", "detail", "instance"}
    for hint in (SECRET, "SELECT", "INSERT", "Traceback", ".py", "sqlalchemy", "people"):
        assert hint not in got.text
    (error,) = [line for line in logs if line["log_level"] == "error"]
    assert "test_errors.py" in error["traceback"]
    assert SECRET not in json.dumps(logs, default=str)
    if path == "constraint":
        assert (error["error"], error["sqlstate"]) == ("IntegrityError", "23514")
        assert error["constraint"] == "ck_people_email_is_lower_case"


@pytest.mark.parametrize("how", ["too slow", "locked", "gone", "not serializable"])
async def test_when_postgres_gives_up_the_caller_may_come_again(
    how: str, traps: AsyncClient
) -> None:
    got = await traps.post(f"/v1/test/says/{how}")
    assert refused(got, 503, "unavailable"), got.text
    assert int(got.headers["retry-after"]) >= 1
    assert (await traps.get("/readyz")).status_code == 200


@pytest.mark.parametrize("call", ["get", "post"])
async def test_no_connection_of_the_api_waits_for_ever(call: str, traps: AsyncClient) -> None:
    send: Callable[[str], Awaitable[Response]] = getattr(traps, call)
    got = await send("/v1/test/timeouts")
    assert got.json() == {
        "statement_timeout": "15s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
    }


async def test_without_the_database_it_lives_but_is_not_ready(
    without_database: AsyncClient,
) -> None:
    assert (await without_database.get("/healthz")).status_code == 200
    token = {"Authorization": "Bearer some"}
    for path in ("/readyz", "/v1/me"):
        got = await without_database.get(path, headers=token)
        assert refused(got, 503, "unavailable")
        assert int(got.headers["retry-after"]) >= 1


async def test_while_it_stops_it_lives_but_is_not_ready(
    settings: Settings, sessions: db.Sessions, store: Store
) -> None:
    app = create_app(settings, sessions, store)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as http:
        async with app.router.lifespan_context(app):
            assert (await http.get("/readyz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/../etc/passwd", 404, "not-found"),
        ("GET", "/v1/me", 401, "unauthenticated"),
        ("PUT", "/v1/me", 405, "method-not-allowed"),
        ("TRACE", "/v1/me", 405, "method-not-allowed"),
        ("OPTIONS", "/v1/me", 405, "method-not-allowed"),
        ("POST", "/v1/sessions", 422, "invalid-request"),
        ("POST", "/v1/test/bug", 500, "internal-error"),
    ],
)
async def test_every_error_is_a_problem_with_a_code_and_an_id(
    method: str, path: str, status: int, code: str, traps: AsyncClient
) -> None:
    got = await traps.request(method, path, headers={"Origin": "https://evil.example"})
    assert refused(got, status, code)
    problem = got.json()
    assert problem["status"] == status
    assert problem["type"].endswith(f"/{code}")
    assert problem["detail"]
    assert problem["instance"] == got.request.url.path
    assert len(got.headers["x-request-id"]) == 36
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] == "no-store"
    assert not any(name.startswith("access-control") for name in got.headers)
    assert ("www-authenticate" in got.headers) is (status == 401)


async def test_a_slash_too_much_sends_nobody_to_another_host(traps: AsyncClient) -> None:
    response = await traps.get("/v1/organisations/", headers={"Host": "evil.example"})
    assert response.status_code == 404
    assert "location" not in response.headers


async def test_each_request_has_an_id_of_its_own_in_answer_and_log(traps: AsyncClient) -> None:
    with capture_logs() as logs:
        got = [await traps.post("/v1/test/bug", headers={"X-Request-ID": "mine"}) for _ in "ab"]
    ids = [answer.headers["x-request-id"] for answer in got]
    assert len({*ids, "mine"}) == 3
    assert all("x-request-id" in answer.headers for answer in got)
    lines = [line for line in logs if line["event"] == "request"]
    assert [line["status"] for line in lines] == [500, 500]


async def test_metrics_count_requests_by_route_and_never_by_id(traps: AsyncClient) -> None:
    await traps.get("/v1/projects/5a11ad00-0000-4000-8000-000000000000")
    got = await traps.get("/metrics")
    assert got.headers["content-type"].startswith("text/plain")
    assert "tessera_http_request_seconds_count{" in got.text
    assert 'route="/projects/{project_id}"' in got.text
    assert "5a11ad00" not in got.text
