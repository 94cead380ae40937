"""Earnings into the ledger, in batches, on a schedule."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from tessera.earnings import service
from tessera.kernel import db
from tessera.storage.context import JobContext

BATCH = 1_000
DECIDED_WITHIN = timedelta(days=7)
"""What nobody decided by then is approved."""


async def post_approved(context: JobContext) -> None:
    every = context.decisions_every
    async with db.reading(context.sessions) as reader:
        due = await service.projects_due(reader, every=every)

    async def post(session: AsyncSession, project_id: UUID) -> int:
        return await service.post_approved(session, project_id=project_id, every=every, limit=BATCH)

    await _in_batches(context, due, post)


async def approve_overdue(context: JobContext) -> None:
    async with db.reading(context.sessions) as reader:
        waiting = await service.projects_waiting(reader, longer_than=DECIDED_WITHIN)

    async def approve(session: AsyncSession, project_id: UUID) -> int:
        return await service.approve_older(
            session, project_id=project_id, than=DECIDED_WITHIN, limit=BATCH
        )

    await _in_batches(context, waiting, approve)


async def _in_batches(
    context: JobContext,
    project_ids: Sequence[UUID],
    step: Callable[[AsyncSession, UUID], Awaitable[int]],
) -> None:
    """Take each project's step until it finds less than a batch to do.

    Raises:
        ExceptionGroup: Some projects failed; the others are done nevertheless.
    """
    failures = []
    for project_id in project_ids:
        try:
            done = BATCH
            while done == BATCH:
                async with db.transaction(context.sessions) as session:
                    done = await step(session, project_id)
        except Exception as failure:  # noqa: BLE001 - one project's trouble is not the others'
            failures.append(failure)
    if failures:
        raise ExceptionGroup("the earnings of some projects are left as they were", failures)
