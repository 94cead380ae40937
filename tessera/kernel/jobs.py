"""The port to the job engine, PgQueuer: a job is a row, written in the transaction that causes it.

Jobs run at least once. A process may die after the work and before the note of it, so a handler
is idempotent: it locks its row and looks at its state.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar, cast

import orjson
from pgqueuer.db import Driver
from pgqueuer.queries import Queries
from pgqueuer.types import JobId
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import get_contextvars

BATCH = 1_000


@dataclass(frozen=True)
class Run:
    """One attempt at a job.

    Attributes:
        id: The same at each attempt, so it serves as idempotency key towards the outside.
        attempt: 1, 2, ...; an attempt that its worker did not survive is not counted.
        request_id: Of the request, or sweep, that began the chain of jobs this one is part of.
    """

    id: int
    name: str
    payload: dict[str, Any]
    attempt: int
    request_id: str | None


Context = TypeVar("Context")
Handler: TypeAlias = Callable[[Context, Run], Awaitable[None]]


@dataclass(frozen=True)
class Held:
    """A job that was given up on and waits for a person. `error` is its last one."""

    id: int
    name: str
    payload: dict[str, Any]
    attempts: int
    since: datetime
    error: str


async def enqueue(
    session: AsyncSession,
    name: str,
    *,
    payload: dict[str, Any],
    key: str | None = None,
) -> None:
    """Have `name` run after the session's transaction commits; if it does not, nothing happens.

    Args:
        payload: JSON: ids and facts that will not change.
        key: At least one run starts after this commit, and a run that already waits is enough:
            nothing is added while the same name, key and payload waits untouched and is due. It
            never counts a run that has started (its reads may be older than our change), never
            blocks and never deadlocks; of two transactions that race, both may add one.
    """
    body = _body(payload)
    engine = _engine(session)
    if key is not None and await engine.driver.fetch(_JOIN, name, key, body):
        return
    await engine.enqueue(name, body, headers=_headers(key))


async def enqueue_many(
    session: AsyncSession, name: str, payloads: Sequence[dict[str, Any]]
) -> None:
    """`enqueue` once for each payload, a thousand to a statement."""
    engine = _engine(session)
    for start in range(0, len(payloads), BATCH):
        bodies: list[bytes | None] = [_body(p) for p in payloads[start : start + BATCH]]
        n = len(bodies)
        await engine.enqueue([name] * n, bodies, [0] * n, headers=[_headers(None)] * n)


async def held(
    session: AsyncSession, *, limit: int = 100, prefix: str = "", alone: bool = False
) -> list[Held]:
    """Jobs that were given up on and whose name begins so, the latest first.

    Args:
        alone: Only those whose errand, by name and payload, no other job has that waits or runs.
    """
    rows = await _engine(session).driver.fetch(_HELD, limit, prefix, alone)
    return [Held(**{**row, "payload": orjson.loads(row["payload"])}) for row in rows]  # type: ignore[arg-type]


async def requeue(session: AsyncSession, ids: Sequence[int]) -> None:
    """Let held jobs run again, with all their attempts before them. Others are not touched."""
    await _engine(session).requeue_jobs([JobId(id_) for id_ in ids])


async def prune(session: AsyncSession, *, keep: timedelta, limit: int = 10_000) -> int:
    """Forget the history of jobs that are gone, oldest first; returns how many lines went."""
    rows = await _engine(session).driver.fetch(_PRUNE, keep, limit)
    return len(rows)


class _SessionDriver:
    """PgQueuer's statements in the session's own transaction: as much of a Driver as they need.

    Through `session.connection()`, which begins it: on the raw asyncpg connection no BEGIN may
    have been sent yet, and a job enqueued first thing would survive the rollback.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        connection = await self._session.connection()
        result = await connection.exec_driver_sql(query, args)
        return [dict(row) for row in result.mappings()]

    async def execute(self, query: str, *args: object) -> str:
        connection = await self._session.connection()
        await connection.exec_driver_sql(query, args)
        return ""


def _engine(session: AsyncSession) -> Queries:
    return Queries(cast("Driver", _SessionDriver(session)))


def _body(payload: dict[str, Any]) -> bytes:
    return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)


def _headers(key: str | None) -> dict[str, str]:
    headers = {"request_id": get_contextvars().get("request_id"), "key": key}
    return {name: value for name, value in headers.items() if value is not None}


# The lock is the point: a worker's SKIP LOCKED passes the row over until we have committed, so
# the run cannot start before our change is visible. Ours passes over rows that others hold:
# under steady traffic on one key there is always one that nobody holds, and it gets to run.
# PgQueuer's own dedupe_key is not used: it also swallows what a *running* job has not seen.
_JOIN = """
SELECT id FROM pgqueuer
WHERE status = 'queued' AND entrypoint = $1 AND headers ->> 'key' = $2 AND payload = $3
  AND execute_after <= clock_timestamp() AND attempts = 0
LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""

_HELD = """
SELECT job.id, job.entrypoint AS name, job.payload, job.attempts, job.updated AS since,
       coalesce(last.traceback ->> 'exception_message', '') AS error
FROM pgqueuer AS job
LEFT JOIN LATERAL (
    SELECT traceback FROM pgqueuer_log
    WHERE job_id = job.id AND status = 'failed' ORDER BY id DESC LIMIT 1
) AS last ON true
WHERE job.status = 'failed' AND starts_with(job.entrypoint, $2)
  AND NOT ($3 AND EXISTS (
    SELECT FROM pgqueuer AS other WHERE other.status IN ('queued', 'picked')
      AND other.entrypoint = job.entrypoint AND other.payload = job.payload))
ORDER BY job.updated DESC, job.id DESC LIMIT $1
"""

# What still stands in the queue keeps its history: it holds the error, and counts the crashes.
_PRUNE = """
DELETE FROM pgqueuer_log WHERE id IN (
    SELECT id FROM pgqueuer_log AS line
    WHERE created < now() - $1::interval
      AND NOT EXISTS (SELECT FROM pgqueuer WHERE pgqueuer.id = line.job_id)
    ORDER BY created LIMIT $2
) RETURNING id
"""
