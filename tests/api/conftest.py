"""What modules set up once: making two tenants takes longer than most tests that look at them."""

from collections.abc import AsyncIterator, Iterator
from functools import cache, partial
from typing import cast

import asyncpg
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.connect import store_of
from tessera.storage.context import JobContext
from tessera.storage.s3 import Store
from tests.api.serving import Served, serving
from tests.api.tenants import Tenants, Undone, two_tenants
from tests.client import Work, api, calling
from tests.conftest import empty
from tests.world import World


@pytest.fixture(scope="module")
async def kept_sessions(
    all_sessions: db.Sessions, superuser: asyncpg.Connection
) -> AsyncIterator[db.Sessions]:
    """As `sessions`, but the tables are emptied only after the module."""
    yield all_sessions
    await empty(superuser)


@pytest.fixture(scope="module")
async def tenants(
    settings: Settings,
    app: FastAPI,
    kept_sessions: db.Sessions,
    store: Store,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Tenants]:
    context = JobContext(
        sessions=kept_sessions,
        store=store,
        bucket=cache(partial(store_of, settings)),
        scratch=tmp_path_factory.mktemp("scratch"),
        decisions_every=settings.decisions_every,
    )
    async with calling(app) as http:
        yield await two_tenants(World(http, kept_sessions, store, Work(settings, context)))


@pytest.fixture(scope="module")
async def undone(
    settings: Settings, kept_sessions: db.Sessions, store: Store
) -> AsyncIterator[AsyncClient]:
    """The API, of which no call leaves a trace."""
    async with api(settings, cast("db.Sessions", Undone(kept_sessions)), store) as http:
        yield http


@pytest.fixture(scope="module")
def served(
    settings: Settings,
    kept_sessions: db.Sessions,  # noqa: ARG001 - its tables are emptied after this has stopped
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """The API in a process of its own."""
    with serving(settings, tmp_path_factory.mktemp("api") / "log") as served:
        yield served
