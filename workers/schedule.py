"""What runs every so often, whether or not anything happened."""

from datetime import timedelta

from sqlalchemy import text

from tessera.assignment import jobs as assignment
from tessera.datasets import jobs as datasets
from tessera.earnings import jobs as earnings
from tessera.kernel import db, jobs
from tessera.storage.context import JobContext
from workers import invariants
from workers.sweeps import Sweep

KEEP_JOB_HISTORY = timedelta(days=7)
CHUNK = 10_000


async def prune_job_history(context: JobContext) -> None:
    gone = CHUNK
    while gone == CHUNK:
        async with db.transaction(context.sessions) as session:
            gone = await jobs.prune(session, keep=KEEP_JOB_HISTORY, limit=CHUNK)


async def forget_idempotency_keys(context: JobContext) -> None:
    """After two days; what a key protected stays unique by its own nature for ever."""
    async with db.transaction(context.sessions) as session:
        await session.execute(
            text("DELETE FROM idempotency_keys WHERE created_at < now() - interval '2 days'")
        )


SWEEPS: tuple[Sweep[JobContext], ...] = (
    Sweep("expire-leases", timedelta(seconds=2), assignment.expire_leases),
    Sweep("post-earnings", timedelta(seconds=5), earnings.post_approved),
    Sweep("approve-overdue", timedelta(minutes=1), earnings.approve_overdue),
    Sweep("release-completed", timedelta(seconds=10), assignment.release_completed),
    Sweep("fail-held-datasets", timedelta(minutes=1), datasets.fail_held),
    Sweep("check-invariants", timedelta(minutes=1), invariants.check),
    Sweep("prune-job-history", timedelta(hours=1), prune_job_history),
    Sweep("forget-idempotency-keys", timedelta(hours=1), forget_idempotency_keys),
)
