"""Real servers for every test: PostgreSQL, Valkey and an S3 server, started once per run.

`session` rolls back (fast; checks deferred constraints before it does).
`sessions` commits for real and empties the tables afterwards: for concurrency, jobs, and
everything that goes through HTTP.

What holds nothing of a test lasts for the run: the engine with its connections and compiled
statements, the store's client, the app with its routes. To make them takes longer than most tests.
"""

import gc
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import asyncpg
import pytest
import structlog
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.app import create_app
from deploy.embedded.places import any_free_port
from deploy.embedded.stack import Servers, running
from tessera.assignment import lease
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.connect import store_of
from tessera.storage.context import JobContext
from tessera.storage.s3 import Store
from tessera.tables import metadata
from tests import network
from tests.client import Work, calling
from tests.seeds import register_profiles
from tests.world import World

register_profiles()
# as in the product; structlog's own way with errors draws all variables of all their frames, which
# took longer than most of the tests in which a job fails
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
)
network.watch()

ORIGIN = "http://app.test"
FIRST = ("tests/stories/", "tests/deploy/")
"""Files that take long begin early: a process that is alone at the end keeps the others waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_collection_finish() -> None:
    """All modules of all tests last until the end: the collector need not look at them again."""
    gc.freeze()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    # not under pytest's own folder: PostgreSQL runs as `nobody` when we are root
    root = Path(tempfile.mkdtemp(prefix="tessera-tests-"))
    root.chmod(0o755)
    # each worker has ports of its own: all would begin with the usual ones, at the same moment
    ports = {name: any_free_port() for name in ("postgres", "valkey", "s3")}
    (root / "ports.json").write_text(json.dumps(ports))
    try:
        with running(
            root, durable=False, allow_origin=ORIGIN, given={}, say=lambda _: None
        ) as servers:
            yield servers
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def database_url(servers: Servers) -> str:
    """A migrated database, the same for all tests."""
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        check=True,
        env={**os.environ, "TESSERA_DATABASE_URL": servers.database_url},
    )
    return servers.database_url


@pytest.fixture(scope="session")
def settings(servers: Servers, database_url: str) -> Settings:
    return TypeAdapter(Settings).validate_python(
        {
            "database_url": database_url,
            "redis_url": servers.redis_url,
            "s3_endpoint": servers.s3_endpoint,
            "s3_access_key": servers.s3_access_key,
            "s3_secret_key": servers.s3_secret_key,
            "s3_bucket": servers.s3_bucket,
            "rate_limits": False,
            "decisions_every": timedelta(0),
        }
    )


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = db.create_engine(database_url, application_name="tests", pool_size=30)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def all_sessions(engine: AsyncEngine) -> db.Sessions:
    """For what lasts longer than a test; `empty` is then its own task."""
    return db.create_sessions(engine)


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with engine.connect() as connection:
        outer = await connection.begin()
        async with AsyncSession(
            connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session:
            yield session
            await session.commit()
            await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        await outer.rollback()


@pytest.fixture(scope="session")
async def superuser(
    servers: Servers,
    database_url: str,
) -> AsyncIterator[asyncpg.Connection]:
    """No trigger fires for it: the ledger refuses to everybody else that rows are deleted."""
    name = database_url.rsplit("/", 1)[1]
    admin = await asyncpg.connect(servers.admin_database_url.rsplit("/", 1)[0] + "/" + name)
    await admin.execute("SET session_replication_role = replica")
    yield admin
    await admin.close()


@pytest.fixture
async def sessions(
    all_sessions: db.Sessions, superuser: asyncpg.Connection
) -> AsyncIterator[db.Sessions]:
    yield all_sessions
    await empty(superuser)


async def as_new(superuser: asyncpg.Connection) -> None:
    """Have tables without dead rows, and of which there are no statistics."""
    await superuser.execute(f"TRUNCATE {', '.join(_TABLES)} CASCADE")


async def empty(superuser: asyncpg.Connection) -> None:
    """Empty all tables. Truncating takes thirty times as long as deleting a few rows."""
    rows = await superuser.fetch(_USED)
    small = [row["name"] for row in rows if row["bytes"] < _LARGE]
    large = [row["name"] for row in rows if row["bytes"] >= _LARGE]
    if small:
        await superuser.execute(";".join(f"DELETE FROM {name}" for name in small))
    if large:
        await superuser.execute(f"TRUNCATE {', '.join(large)} CASCADE")


_LARGE = 8 * 8192
_TABLES = [*(table.name for table in metadata.sorted_tables), "pgqueuer", "pgqueuer_log"]
_USED = " UNION ALL ".join(
    f"(SELECT '{name}' AS name, pg_relation_size('{name}') AS bytes FROM {name} LIMIT 1)"
    for name in _TABLES
)


@pytest.fixture(scope="session")
def store(settings: Settings) -> Iterator[Store]:
    with closing(store_of(settings)) as store:
        yield store


@pytest.fixture(scope="session")
def app(settings: Settings, all_sessions: db.Sessions, store: Store) -> FastAPI:
    return create_app(settings, all_sessions, store)


@pytest.fixture
async def http(
    app: FastAPI,
    sessions: db.Sessions,  # noqa: ARG001 - the app's own; the tables are empty again afterwards
) -> AsyncIterator[AsyncClient]:
    async with calling(app) as client:
        yield client


class _Loaded(random.Random):
    def random(self) -> float:
        return 0.0


@pytest.fixture
def gold_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Earners get all the gold there is before anything else, and not as chance will have it."""
    monkeypatch.setattr(lease, "_dice", _Loaded())


@pytest.fixture
def context(settings: Settings, sessions: db.Sessions, store: Store, tmp_path: Path) -> JobContext:
    return JobContext(
        sessions=sessions,
        store=store,
        bucket=cache(partial(store_of, settings)),
        scratch=tmp_path,
        decisions_every=settings.decisions_every,
    )


@pytest.fixture
def work(settings: Settings, context: JobContext) -> Work:
    return Work(settings, context)


@pytest.fixture
def world(http: AsyncClient, sessions: db.Sessions, store: Store, work: Work) -> World:
    return World(http, sessions, store, work)
