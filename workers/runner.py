"""Runs jobs: takes them from the queue, gives them their attempts, ends in good order."""

import asyncio
import logging
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic

import asyncpg
import orjson
import structlog
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from structlog.contextvars import bound_contextvars

from tessera.kernel import db
from tessera.kernel.errors import DomainError, Unavailable
from tessera.kernel.jobs import Context, Handler, Run
from tessera.kernel.logs import describe
from workers import metrics
from workers.grace import Grace, Stopped
from workers.guard import GuardedQueries, PollingDriver
from workers.sweeps import Sweep, run_sweeps

log = structlog.get_logger()
_LEVELS = {"retried": logging.WARNING, "held": logging.ERROR}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a worker works.

    Attributes:
        concurrency: Most jobs in hand at once, in this process.
        poll: How long a job may wait for an idle worker; the cost is five small reads per poll.
        heartbeat: A job not heard of for this long is taken from its worker. A handler must not
            block the event loop for half of it.
        grace: How long jobs in hand may go on after `stop`; then they are given back.
        attempts: After this many failures a job is held.
        first_delay, longest_delay: Before the second attempt; before any. It doubles between.
        crashes: After this many deaths of its worker in a row a job is held.
    """

    concurrency: int = 20
    poll: timedelta = timedelta(milliseconds=250)
    heartbeat: timedelta = timedelta(seconds=30)
    grace: timedelta = timedelta(seconds=20)
    attempts: int = 15
    first_delay: timedelta = timedelta(seconds=1)
    longest_delay: timedelta = timedelta(minutes=10)
    crashes: int = 5


async def run(
    database_url: str,
    handlers: Mapping[str, Handler[Context]],
    context: Context,
    *,
    stop: asyncio.Event,
    limits: Mapping[str, int] | None = None,
    sweeps: Sequence[Sweep[Context]] = (),
    pace: Pace = Pace(),
) -> None:
    """Work until `stop` is set; then finish what is in hand, or give it back.

    Args:
        handlers: Every job this worker takes, by name.
        context: Handed to each handler and sweep as it is.
        limits: Most runs of a job at once, over all workers: Postgres enforces it, so that all
            workers must have the same limits.

    Raises:
        Exception: Postgres went away. Jobs in hand were given their grace; the process should
            end in failure and be started again.
    """
    limits = dict(limits or {})
    if unknown := limits.keys() - handlers.keys():
        raise ValueError(f"limits for jobs without a handler: {sorted(unknown)}")
    async with _pool(database_url) as pool:
        driver = PollingDriver(pool)
        queue = QueueManager(GuardedQueries(driver, crashes=pace.crashes))
        queue.shutdown = stop
        # Jobs are waiting but our hands are full: without NOTIFY nothing else tells when they
        # are free again, and PgQueuer's 0.1 s would be the speed limit.
        queue.min_dequeue_poll_interval = timedelta(milliseconds=20)
        grace = Grace(stop, pace.grace)
        attempts = _Attempts(context, pace, grace)
        for name, handler in handlers.items():
            queue.entrypoint(
                name,
                concurrency_limit=limits.get(name, 0),
                accepts_context=False,
                on_failure="hold",
            )(attempts.entrypoint(handler))
        await _together(
            stop,
            queue.run(
                dequeue_timeout=pace.poll,
                batch_size=max(1, pace.concurrency // 2),
                max_concurrent_tasks=max(2, pace.concurrency),
                heartbeat_timeout=pace.heartbeat,
                # our numbers are in `metrics`; the tables' own would write each log line twice
                log_aggregation_interval=timedelta(),
            ),
            grace.watch(),
            run_sweeps(database_url, sweeps, context, stop=stop, grace=grace),
            metrics.watch_queue(driver, stop=stop),
        )


def stop_on_signals() -> asyncio.Event:
    """An event for `run` that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


class GivenUp(Exception):  # noqa: N818
    """What PgQueuer gets to keep of an error: its place, and no values of rows."""


class _Attempts(Generic[Context]):
    """What becomes of each attempt: done, retried, held, or returned to the queue."""

    def __init__(self, context: Context, pace: Pace, grace: Grace) -> None:
        self._context = context
        self._pace = pace
        self._grace = grace

    def entrypoint(self, handler: Handler[Context]) -> Callable[[Job], Awaitable[None]]:
        async def attempt(job: Job) -> None:
            await self._attempt(handler, _run(job))

        return attempt

    async def _attempt(self, handler: Handler[Context], run: Run) -> None:
        """Leaves by RetryRequested to run again, by another exception to be held.

        Never by cancellation: to PgQueuer that means a job that nobody wants any more.
        """
        started = time.monotonic()
        outcome, failure, ending = "done", None, None
        with bound_contextvars(
            job_id=run.id, job=run.name, attempt=run.attempt, request_id=run.request_id
        ):
            try:
                async with self._grace.within():
                    await handler(self._context, run)
            except Exception as error:  # noqa: BLE001 - whatever it is, it decides what follows
                failure = error
                outcome, ending = self._after(error, run)
            seconds = time.monotonic() - started
            metrics.JOBS.labels(run.name, outcome).observe(seconds)
            log.log(
                _LEVELS.get(outcome, logging.INFO),
                "job.ended",
                outcome=outcome,
                seconds=round(seconds, 3),
                exc_info=failure if outcome in _LEVELS else None,
            )
            if ending is not None:
                raise ending

    def _after(self, error: Exception, run: Run) -> tuple[str, Exception]:
        if isinstance(error, Stopped):
            return "returned", RetryRequested(reason="the worker was stopped")
        final = isinstance(error, DomainError) and not isinstance(error, Unavailable)
        if final or run.attempt >= self._pace.attempts:
            return "held", GivenUp(describe(error)).with_traceback(error.__traceback__)
        delay = backoff(run.attempt, self._pace)
        return "retried", RetryRequested(delay=delay, reason=describe(error))


def _run(job: Job) -> Run:
    return Run(
        id=job.id,
        name=job.entrypoint,
        payload=orjson.loads(job.payload or b"{}"),
        attempt=job.attempts + 1,
        request_id=str((job.headers or {}).get("request_id") or "") or None,
    )


def backoff(attempt: int, pace: Pace) -> timedelta:
    """Doubling, with jitter so that what failed together does not come back together."""
    times = min(2.0 ** (attempt - 1), pace.longest_delay / pace.first_delay)
    return pace.first_delay * times * random.uniform(0.5, 1)  # noqa: S311


async def _together(stop: asyncio.Event, *parts: Coroutine[Any, Any, None]) -> None:
    """Run all parts. If one fails the others are asked to stop, and end in good order."""

    async def stopping(part: Coroutine[Any, Any, None]) -> None:
        try:
            await part
        except BaseException:
            stop.set()
            raise

    endings = await asyncio.gather(*map(stopping, parts), return_exceptions=True)
    for ending in endings:
        if isinstance(ending, BaseException):
            raise ending


@asynccontextmanager
async def _pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections of the queue's own, so that busy handlers cannot keep heartbeats waiting."""
    pool = await asyncpg.create_pool(
        database_url,
        min_size=2,
        max_size=6,
        command_timeout=30,  # for a server that is gone; one that is slow gives up before
        server_settings=db.server_settings("tessera-queue"),
    )
    try:
        yield pool
    finally:
        # when Postgres is gone, so are the connections that would be closed in good order
        with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.wait_for(pool.close(), 5)
