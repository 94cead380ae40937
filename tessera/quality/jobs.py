"""Judging as jobs; each is one transaction over stored answers, and may run again."""

from uuid import UUID

from tessera.kernel import db
from tessera.kernel.jobs import Run
from tessera.quality import judge
from tessera.quality import settle as settling
from tessera.storage.context import JobContext


async def settle(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        await settling.settle(
            session,
            project_id=UUID(run.payload["project_id"]),
            task_ids=[UUID(task_id) for task_id in run.payload["task_ids"]],
        )


async def reject_blocked(context: JobContext, run: Run) -> None:
    async with db.transaction(context.sessions) as session:
        await judge.reject_blocked(
            session,
            project_id=UUID(run.payload["project_id"]),
            earner_id=UUID(run.payload["earner_id"]),
        )
