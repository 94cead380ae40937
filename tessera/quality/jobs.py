"""Judging as jobs; each is one transaction over stored answers, and may run again."""

from uuid import UUID

from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.quality import judge
from tessera.quality import settle as settling
from tessera.storage.context import JobContext

CHUNK = 200
"""Earners rated in one transaction."""


async def settle(context: JobContext, run: Run) -> None:
    new = run.payload.get("lease_ids")  # a job from before an upgrade has none
    async with db.transaction(context.sessions) as session:
        await settling.settle(
            session,
            project_id=UUID(run.payload["project_id"]),
            task_ids=[UUID(task_id) for task_id in run.payload["task_ids"]],
            lease_ids=None if new is None else [UUID(lease_id) for lease_id in new],
        )


async def reject_blocked(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        await judge.reject_blocked(
            session,
            project_id=UUID(run.payload["project_id"]),
            earner_id=UUID(run.payload["earner_id"]),
        )


async def rate_again(context: JobContext, run: Run) -> None:
    """After a policy was edited; if killed, the next run begins anew and changes nothing twice."""
    project_id, after, more = UUID(run.payload["project_id"]), None, True
    while more:
        async with db.transaction(context.sessions) as session:
            after = await judge.rate_again(session, project_id=project_id, after=after, limit=CHUNK)
        more = after is not None
