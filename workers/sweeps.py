"""What runs every so often: once per period, whatever number of workers there is.

The period is judged by Postgres' clock against one row per sweep, so after an outage there is one
run and not one for each period missed. While a sweep runs, an advisory lock keeps it to one worker;
it goes when the worker's connection goes, however that comes about.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic
from uuid import uuid4

import asyncpg
import structlog
from pgqueuer.db import AsyncpgDriver
from structlog.contextvars import bound_contextvars

from tessera.kernel import db
from tessera.kernel.jobs import Context
from workers import metrics
from workers.grace import Grace, Stopped

log = structlog.get_logger()


@dataclass(frozen=True)
class Sweep(Generic[Context]):
    """Work without an errand: it looks for what is due. Its next run is its only retry.

    Attributes:
        every: Least time between two starts.
        limit: It is stopped after this, or it would hold its lock for ever.
    """

    name: str
    every: timedelta
    run: Callable[[Context], Awaitable[None]]
    limit: timedelta = timedelta(minutes=5)


async def run_sweeps(
    database_url: str,
    sweeps: Sequence[Sweep[Context]],
    context: Context,
    *,
    stop: asyncio.Event,
    grace: Grace,
) -> None:
    """Sweep until `stop`; a sweep that runs then has its grace.

    Raises:
        ExceptionGroup: The connection that holds the locks is gone, and so is the right to sweep.
    """
    connection = await asyncpg.connect(
        database_url, command_timeout=30, server_settings=_SERVER_SETTINGS
    )
    try:
        driver = AsyncpgDriver(connection)
        await driver.execute(_ENTER, [sweep.name for sweep in sweeps])
        async with asyncio.TaskGroup() as group:
            for sweep in sweeps:
                group.create_task(_repeat(driver, sweep, context, stop, grace))
    finally:
        connection.terminate()


async def _repeat(
    driver: AsyncpgDriver,
    sweep: Sweep[Context],
    context: Context,
    stop: asyncio.Event,
    grace: Grace,
) -> None:
    while not stop.is_set():
        if await driver.fetch(_LOCK, sweep.name, sweep.every):
            try:
                # another worker may have swept and unlocked between our look and our lock
                if await driver.fetch(_CLAIM, sweep.name, sweep.every):
                    await _sweep(sweep, context, grace)
            finally:
                await driver.fetch(_UNLOCK, sweep.name)
        pause = min(sweep.every.total_seconds() / 4, 1) * random.uniform(0.8, 1.2)  # noqa: S311
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


async def _sweep(sweep: Sweep[Context], context: Context, grace: Grace) -> None:
    started = time.monotonic()
    outcome = "done"
    with bound_contextvars(sweep=sweep.name, request_id=uuid4().hex):
        try:
            async with grace.within(sweep.limit):
                await sweep.run(context)
        except Stopped:
            outcome = "stopped"
        except Exception:
            outcome = "failed"
            log.exception("sweep.failed")
        seconds = time.monotonic() - started
        metrics.SWEEPS.labels(sweep.name, outcome).observe(seconds)
        log.debug("sweep.ended", outcome=outcome, seconds=round(seconds, 3))


# Keepalives: the lock of a machine that has vanished from the network is free in a minute.
_SERVER_SETTINGS = {
    **db.server_settings("tessera-sweeps"),
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

# PgQueuer's table of schedules keeps ours too, and shows them (`pgq schedules`). Its own scheduler
# is not used: at seconds it is late by one, and a run that dies blocks the next for 30.
_ENTER = """
INSERT INTO pgqueuer_schedules (entrypoint, expression) SELECT unnest($1::text[]), 'sweep'
ON CONFLICT (expression, entrypoint) DO NOTHING
"""

_LOCK = """
SELECT 1 FROM (
    SELECT pg_try_advisory_lock(hashtextextended('sweep:' || entrypoint, 0)) AS locked
    FROM pgqueuer_schedules
    WHERE entrypoint = $1 AND expression = 'sweep'
      AND coalesce(last_run, '-infinity') <= now() - $2::interval
    OFFSET 0
) AS attempt WHERE locked
"""

_CLAIM = """
UPDATE pgqueuer_schedules SET last_run = now(), next_run = now() + $2::interval, updated = now()
WHERE entrypoint = $1 AND expression = 'sweep'
  AND coalesce(last_run, '-infinity') <= now() - $2::interval
RETURNING id
"""

_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('sweep:' || $1, 0))"
