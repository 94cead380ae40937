"""Earnings into the ledger, in batches, on a schedule."""

from datetime import timedelta
from uuid import UUID

from tessera.earnings import service
from tessera.kernel import db
from tessera.storage.context import JobContext

BATCH = 1_000
DECIDED_WITHIN = timedelta(days=7)
"""What nobody decided by then is approved."""


async def post_approved(context: JobContext) -> None:
    async with db.reading(context.sessions) as reader:
        due = await service.projects_due(reader)
    failures = []
    for project_id in due:
        try:
            await _post(context, project_id)
        except Exception as failure:  # noqa: BLE001 - one project's trouble is not the others'
            failures.append(failure)
    if failures:
        raise ExceptionGroup("some earnings could not be posted", failures)


async def _post(context: JobContext, project_id: UUID) -> None:
    posted = BATCH
    while posted == BATCH:
        async with db.transaction(context.sessions) as session:
            posted = await service.post_approved(
                session, project_id=project_id, every=context.decisions_every, limit=BATCH
            )


async def approve_overdue(context: JobContext) -> None:
    async with db.reading(context.sessions) as reader:
        waiting = await service.projects_waiting(reader, longer_than=DECIDED_WITHIN)
    for project_id in waiting:
        approved = BATCH
        while approved == BATCH:
            async with db.transaction(context.sessions) as session:
                approved = await service.approve_older(
                    session, project_id=project_id, than=DECIDED_WITHIN, limit=BATCH
                )
