"""Real servers for every test: PostgreSQL, Valkey and an S3 server, started once per run.

`session` rolls back (fast; checks deferred constraints before it does).
`sessions` commits for real and empties the tables afterwards: for concurrency, jobs, and
everything that goes through HTTP.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import asyncpg
import hypothesis
import pytest
from httpx2 import AsyncClient
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.embedded.stack import Servers, running
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.connect import store_of
from tessera.storage.context import JobContext
from tessera.storage.s3 import Access, Store
from tessera.tables import metadata
from tests import network
from tests.client import Work, api
from tests.world import World

hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")
network.watch()

ORIGIN = "http://app.test"


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    # not under pytest's own folder: PostgreSQL runs as `nobody` when we are root
    root = Path(tempfile.mkdtemp(prefix="tessera-tests-"))
    root.chmod(0o755)
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


@pytest.fixture
async def session(database_url: str) -> AsyncIterator[AsyncSession]:
    engine = db.create_engine(database_url, application_name="tests", pool_size=1)
    async with engine.connect() as connection:
        outer = await connection.begin()
        async with AsyncSession(
            connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session:
            yield session
            await session.commit()
            await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        await outer.rollback()
    await engine.dispose()


@pytest.fixture
async def sessions(database_url: str, servers: Servers) -> AsyncIterator[db.Sessions]:
    engine = db.create_engine(database_url, application_name="tests", pool_size=30)
    yield db.create_sessions(engine)
    await engine.dispose()
    await empty(servers)


async def empty(servers: Servers) -> None:
    """Empty all tables, as a superuser: the ledger refuses it to everybody else."""
    name = servers.database_url.rsplit("/", 1)[1]
    admin = await asyncpg.connect(servers.admin_database_url.rsplit("/", 1)[0] + "/" + name)
    tables = [table.name for table in metadata.sorted_tables] + ["pgqueuer", "pgqueuer_log"]
    used = " UNION ALL ".join(f"(SELECT '{name}' FROM {name} LIMIT 1)" for name in tables)
    if dirty := [row[0] for row in await admin.fetch(used)]:
        await admin.execute("SET session_replication_role = replica")
        await admin.execute(f"TRUNCATE {', '.join(dirty)} CASCADE")
    await admin.close()


@pytest.fixture
def store(servers: Servers) -> Iterator[Store]:
    store = Store(
        Access(
            endpoint=servers.s3_endpoint,
            access_key=servers.s3_access_key,
            secret_key=servers.s3_secret_key,
            bucket=servers.s3_bucket,
        )
    )
    yield store
    store.close()


@pytest.fixture
async def http(
    settings: Settings, sessions: db.Sessions, store: Store
) -> AsyncIterator[AsyncClient]:
    async with api(settings, sessions, store) as client:
        yield client


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
