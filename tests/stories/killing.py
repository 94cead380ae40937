"""A Tessera of its own, whose programs are killed -9 while people use it."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from uuid import uuid4

import asyncpg
from httpx2 import AsyncClient
from pydantic import PostgresDsn
from redis.asyncio import Redis

from deploy.embedded.stack import Servers
from tessera.accounts import passwords
from tessera.accounts import service as accounts
from tessera.accounts.models import PersonKind
from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.connect import store_of
from tessera.storage.s3 import Store
from tests.stories.patience import Patient
from tests.stories.processes import Mortal, ready, running, serving, worker
from tests.world import PASSWORD
from workers.runner import Pace


@dataclass(frozen=True)
class Siege:
    """Where everything is, and what can be killed."""

    http: AsyncClient
    sessions: db.Sessions
    store: Store
    redis: Redis
    api: Mortal
    workers: list[Mortal]
    order: Iterator[Mortal]
    """In which workers die, over all acts."""

    async def person(self, kind: PersonKind) -> Patient:
        email = f"{uuid4()}@example.org"
        hashed = await passwords.hashed(PASSWORD)
        async with db.transaction(self.sessions) as session:
            await accounts.register(
                session, email=email, password_hash=hashed, name="Somebody", kind=kind
            )
        token = await accounts.log_in(
            self.sessions, email=email, password=PASSWORD, lifetime=timedelta(days=1)
        )
        return Patient(self.http, token)

    @property
    def deaths(self) -> tuple[int, int]:
        """Of the API, and of workers."""
        return self.api.deaths, sum(worker.deaths for worker in self.workers)

    @asynccontextmanager
    async def killing(
        self, rng: random.Random, *, times: int, every: tuple[float, float]
    ) -> AsyncIterator[None]:
        """While the block lasts, kill the API and workers in turn, and empty Redis each time.

        Args:
            times: At most.
            every: Seconds between two kills, at least and at most; half the least before one
                of each.

        Raises:
            AssertionError: The block was over before both had been killed, and showed little.
        """
        before = self.deaths

        async def kill() -> None:
            for number in range(times):
                await asyncio.sleep(rng.uniform(*every) if number > 1 else every[0] / 2)
                victim = next(self.order) if number % 2 else self.api
                await victim.reborn(after=rng.uniform(0, 0.2))
                await self.redis.flushall()

        killer = asyncio.create_task(kill())
        try:
            yield
        finally:
            killer.cancel()
            await asyncio.wait([killer])
        assert all(now > then for now, then in zip(self.deaths, before, strict=True))


@asynccontextmanager
async def besieged(
    servers: Servers, settings: Settings, folder: Path, *, pace: Pace, workers: int
) -> AsyncIterator[Siege]:
    """A migrated database and a bucket of its own, an API and some workers."""
    async with AsyncExitStack() as after:
        url = await after.enter_async_context(_database(servers))
        own = settings.model_copy(
            update={
                "database_url": PostgresDsn(url),
                "s3_bucket": url.rsplit("/", 1)[1],
                "rate_limits": True,
            }
        )
        engine = db.create_engine(url, application_name="tests", pool_size=10)
        after.push_async_callback(engine.dispose)
        redis = await after.enter_async_context(Redis.from_url(str(own.redis_url)))
        store = after.enter_context(closing(store_of(own)))
        await store.ensure_bucket()
        api, address = serving(own, folder)
        others = [worker(own, folder, pace=pace) for _ in range(workers)]
        after.enter_context(running(api, *others))
        await ready(address)
        http = await after.enter_async_context(AsyncClient(base_url=address, timeout=20))
        sessions = db.create_sessions(engine)
        yield Siege(http, sessions, store, redis, api, others, cycle(others))


@asynccontextmanager
async def _database(servers: Servers) -> AsyncIterator[str]:
    name = f"siege-{uuid4().hex[:12]}"
    url = f"{servers.database_url.rsplit('/', 1)[0]}/{name}"
    admin = await asyncpg.connect(servers.admin_database_url)
    await admin.execute(f'CREATE DATABASE "{name}" OWNER tessera')
    try:
        await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            check=True,
            env={**os.environ, "TESSERA_DATABASE_URL": url},
        )
        yield url
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()
