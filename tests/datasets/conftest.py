from collections.abc import AsyncIterator

import pytest

from tessera.storage.context import JobContext


@pytest.fixture
async def context(context: JobContext) -> AsyncIterator[JobContext]:
    store = context.store
    await store.ensure_bucket()
    yield context
    await store.delete_many([listed.key async for listed in store.list("datasets/")])
