"""What several stories take place in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from tessera.kernel import db
from tessera.kernel.settings import Settings
from tessera.storage.context import JobContext
from tessera.storage.s3 import Store
from tests.client import Work, api
from tests.stories.watching import Telling
from tests.world import World


@pytest.fixture
def telling(
    settings: Settings, sessions: db.Sessions, store: Store, context: JobContext
) -> Telling:
    """A world in which earners hear of decisions every so often."""

    @asynccontextmanager
    async def world(every: timedelta) -> AsyncIterator[World]:
        changed = settings.model_copy(update={"decisions_every": every})
        work = Work(changed, replace(context, decisions_every=every))
        async with api(changed, sessions, store) as http:
            yield World(http, sessions, store, work)

    return world
