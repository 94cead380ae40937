"""PgQueuer's queries with its gaps closed: no job is lost, and none runs for ever."""

import dataclasses
from datetime import timedelta

import structlog
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job, TracebackRecord
from pgqueuer.ports.driver import NotifyCallback
from pgqueuer.queries import EntrypointExecutionParameter, Queries
from pgqueuer.types import JOB_STATUS, QueueEntrypoint, QueueManagerId

from workers import metrics

log = structlog.get_logger()


class PollingDriver(AsyncpgPoolDriver):
    """Listens for nothing, as nothing notifies: a connection less, and none to die unnoticed."""

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None: ...


@dataclasses.dataclass
class GuardedQueries(Queries):
    """What the queue loop asks of Postgres.

    Attributes:
        crashes: A job that this many workers in a row have died of is held; or one more, if a
            death becomes plain only between our look and the dequeue. PgQueuer itself would
            hand it out for ever: a death does not raise `attempts`.
    """

    crashes: int = 5

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[Job]:
        await self.hold_poisonous(silent_for=heartbeat_timeout)
        return await super().dequeue(
            batch_size, entrypoints, queue_manager_id, global_concurrency_limit, heartbeat_timeout
        )

    async def hold_poisonous(self, *, silent_for: timedelta) -> None:
        """Before each dequeue, as that is what would pick up a job whose worker has died."""
        rows = await self.driver.fetch(_HOLD_POISONOUS, silent_for, self.crashes)
        for row in rows:
            metrics.POISONOUS.labels(row["name"]).inc()
            log.error("job.poisonous", job_id=row["id"], job=row["name"], crashes=row["crashes"])

    async def retry_job(
        self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None
    ) -> None:
        """PgQueuer holds a job whose retry could not be written, as during a Postgres restart.

        Ours stays picked without a heartbeat, and so is taken up again by whoever is there then.
        """
        try:
            await super().retry_job(job, delay, traceback_record)
        except Exception:
            log.warning("job.retry_unwritten", job_id=job.id, job=job.entrypoint, exc_info=True)

    async def log_jobs(
        self, job_status: list[tuple[Job, JOB_STATUS, TracebackRecord | None]]
    ) -> None:
        """PgQueuer deletes a job whose task was cancelled; ours waits for its heartbeat to end."""
        ended = [entry for entry in job_status if entry[1] != "canceled"]
        if ended:
            await super().log_jobs(ended)


# Crashes are the pickings since the job was last queued: a retry, a give-back or a person's
# requeue each write a 'queued' line. What has crashed twice is a suspect, and suspects run one
# at a time: the culprit's last deaths then strike none of those it merely shared a process with.
# In good times all this reads one empty index range (pgqueuer_picked_heartbeat_idx).
_HOLD_POISONOUS = """
WITH silent AS (
    SELECT id, entrypoint, priority, (
        SELECT count(*) FROM pgqueuer_log AS line
        WHERE line.job_id = job.id AND line.status = 'picked' AND line.id > coalesce((
            SELECT max(id) FROM pgqueuer_log WHERE job_id = job.id AND status = 'queued'), 0)
    ) AS crashes
    FROM pgqueuer AS job
    WHERE status = 'picked' AND heartbeat < now() - $1::interval AND execute_after < now()
    FOR UPDATE SKIP LOCKED
), held AS (
    UPDATE pgqueuer AS job SET status = 'failed', updated = now(), queue_manager_id = NULL
    FROM silent WHERE job.id = silent.id AND crashes >= $2::bigint
    RETURNING job.id, job.entrypoint, job.priority, crashes
), logged AS (
    INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority, traceback)
    SELECT id, 'failed', entrypoint, priority, jsonb_build_object(
        'job_id', id, 'timestamp', now(), 'exception_type', 'Poisonous',
        'exception_message', format('Poisonous: its last %s workers died', crashes),
        'traceback', '', 'additional_context', NULL
    ) FROM held
), suspects AS (
    SELECT id, row_number() OVER (ORDER BY id) = 1 AND NOT EXISTS (
        SELECT FROM pgqueuer WHERE status = 'picked' AND headers ? 'suspect'
            AND heartbeat >= now() - $1::interval
    ) AS is_next
    FROM silent WHERE crashes >= 2 AND crashes < $2::bigint
), marked AS (
    UPDATE pgqueuer AS job
    SET headers = coalesce(headers, '{}') || '{"suspect": "yes"}',
        execute_after = CASE WHEN is_next THEN execute_after ELSE now() + $1::interval / 10 END
    FROM suspects WHERE job.id = suspects.id
)
SELECT id, entrypoint AS name, crashes FROM held
"""
