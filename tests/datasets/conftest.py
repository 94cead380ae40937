from collections.abc import AsyncIterator

import pytest

from tessera.kernel import db
from tessera.storage.s3 import Store
from tests.datasets.world import Context


@pytest.fixture
async def context(sessions: db.Sessions, store: Store) -> AsyncIterator[Context]:
    await store.ensure_bucket()
    yield Context(sessions, store)
    await store.delete_many([listed.key async for listed in store.list("datasets/")])
