"""What runs every so often, whether or not anything happened."""

from datetime import timedelta

from sqlalchemy import TextClause, text

from tessera.assignment import jobs as assignment
from tessera.conduct import jobs as conduct
from tessera.datasets import jobs as datasets
from tessera.earnings import jobs as earnings
from tessera.images import held as images
from tessera.kernel import db, jobs
from tessera.quality import gold_jobs, import_job
from tessera.quality import jobs as quality
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
    await _forget(context, _OLD_KEYS)


async def forget_sessions(context: JobContext) -> None:
    """A day after they ended; nobody is let in by one in the meantime."""
    await _forget(context, _OLD_SESSIONS)


async def _forget(context: JobContext, statement: TextClause) -> None:
    gone = CHUNK
    while gone == CHUNK:
        async with db.transaction(context.sessions) as session:
            gone = len((await session.execute(statement, {"limit": CHUNK})).all())


_OLD_KEYS = text(
    """
    DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM idempotency_keys WHERE created_at < now() - interval '2 days' LIMIT :limit
    )) RETURNING 1
    """
)
_OLD_SESSIONS = text(
    """
    DELETE FROM sessions WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM sessions WHERE expires_at < now() - interval '1 day' LIMIT :limit
    )) RETURNING 1
    """
)


SWEEPS: tuple[Sweep[JobContext], ...] = (
    Sweep("expire-leases", timedelta(seconds=2), assignment.expire_leases),
    Sweep("release-kept", timedelta(seconds=10), assignment.release_kept),
    Sweep("post-earnings", timedelta(seconds=5), earnings.post_approved),
    Sweep("approve-overdue", timedelta(minutes=1), earnings.approve_overdue),
    Sweep("release-completed", timedelta(seconds=10), assignment.release_completed),
    Sweep("fail-held-datasets", timedelta(minutes=1), datasets.fail_held),
    Sweep("fail-held-images", timedelta(minutes=1), images.fail_held),
    Sweep("fail-held-annotations", timedelta(minutes=1), import_job.fail_held),
    Sweep("estimate", timedelta(minutes=1), quality.estimate_due),
    Sweep("check-gold", timedelta(hours=1), gold_jobs.check_due),
    Sweep("rotate-gold", timedelta(minutes=1), gold_jobs.rotate_due),
    Sweep("decide-repairs", timedelta(minutes=1), conduct.decide_repairs),
    Sweep("uphold-contests", timedelta(minutes=1), conduct.uphold_overdue),
    Sweep("check-invariants", timedelta(minutes=1), invariants.check),
    Sweep("prune-job-history", timedelta(hours=1), prune_job_history),
    Sweep("forget-idempotency-keys", timedelta(hours=1), forget_idempotency_keys),
    Sweep("forget-sessions", timedelta(hours=1), forget_sessions),
)
