"""A world that lasts for a block, for fixtures that several tests look at."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path

import asyncpg

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.connect import store_of
from tessera.storage.context import JobContext
from tests.client import Work, api
from tests.conftest import empty
from tests.world import World


@asynccontextmanager
async def world_of_its_own(
    settings: Settings, superuser: asyncpg.Connection
) -> AsyncIterator[World]:
    """Afterwards the tables are empty again."""
    engine = db.create_engine(str(settings.database_url), application_name="tests", pool_size=30)
    sessions, store = db.create_sessions(engine), store_of(settings)
    with tempfile.TemporaryDirectory() as folder:
        context = JobContext(
            sessions,
            store,
            cache(partial(store_of, settings)),
            Path(folder),
            settings.decisions_every,
        )
        async with api(settings, sessions, store) as http:
            yield World(http, sessions, store, Work(settings, context))
    store.close()
    await engine.dispose()
    await empty(superuser)
