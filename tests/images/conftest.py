"""A worker whose way to the store leads through a door."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from deploy.embedded.stack import Servers
from tessera.kernel.settings import Settings
from tessera.storage.context import JobContext
from tessera.storage.s3 import Access, Store
from tests.client import Work
from tests.storage.stumbling import Door, stumbling

OnTheWay = Callable[..., AbstractAsyncContextManager[tuple[Door, Work]]]


@pytest.fixture
def access(servers: Servers) -> Access:
    return Access(
        endpoint=servers.s3_endpoint,
        access_key=servers.s3_access_key,
        secret_key=servers.s3_secret_key,
        bucket=servers.s3_bucket,
    )


@pytest.fixture
def on_the_way(settings: Settings, access: Access, context: JobContext) -> OnTheWay:
    """Makes the door, and a worker behind it."""

    @asynccontextmanager
    async def way(
        stumbles: Callable[[str], int] = lambda _: 0,
    ) -> AsyncIterator[tuple[Door, Work]]:
        async with stumbling(access, stumbles=stumbles) as (door, through):
            store = Store(through)
            yield door, Work(settings, replace(context, store=store))
            await asyncio.to_thread(store.close)  # calls under way still need the door

    return way
