"""The sweeps as they are scheduled, each on what it is there for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from tessera.assignment.jobs import GRACE_SECONDS
from tessera.kernel import db
from tessera.storage.context import JobContext
from tests.assignment.crowd import Earner, a_project
from workers.runner import Pace, run
from workers.schedule import SWEEPS

LEASE = timedelta(seconds=1)
PROMISED = timedelta(seconds=GRACE_SECONDS + 2)
BUSY_MACHINE = timedelta(seconds=5)


@pytest.mark.long
async def test_the_task_of_a_dead_client_is_free_half_a_minute_after_its_lease(
    sessions: db.Sessions, database_url: str, context: JobContext
) -> None:
    project_id = await a_project(sessions, tasks=1)
    async with db.transaction(sessions) as session:
        await session.execute(text("UPDATE projects SET lease_seconds = :s"), {"s": LEASE.seconds})
    dead, other = Earner(sessions), Earner(sessions)
    async with sweeping("expire-leases", database_url, context):
        assert await dead.lease(project_id)
        leased_at = time.monotonic()
        async with asyncio.timeout((LEASE + PROMISED + BUSY_MACHINE).total_seconds()):
            while not await other.lease(project_id):  # noqa: ASYNC110 - in the database
                await asyncio.sleep(0.1)
    held = time.monotonic() - leased_at
    assert held > LEASE.total_seconds() + GRACE_SECONDS, "not before it was over"


@asynccontextmanager
async def sweeping(name: str, database_url: str, context: JobContext) -> AsyncIterator[None]:
    """A worker with one sweep, at its usual pace."""
    stop = asyncio.Event()
    only = [sweep for sweep in SWEEPS if sweep.name == name]
    worker = asyncio.create_task(
        run(database_url, {}, context, stop=stop, sweeps=only, pace=Pace())
    )
    try:
        yield
    finally:
        stop.set()
        await worker
