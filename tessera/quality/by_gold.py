"""What gold tells of a project's labels: how often people, as many as elsewhere, are right."""

import asyncio
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer
from tessera.projects.models import Project
from tessera.quality import answered, estimating
from tessera.quality.dry_run import MOST_ANSWERS
from tessera.quality.models import Gold
from tessera.truth.gold_panels import ByGold, told_by


async def told(session: AsyncSession, project: Project) -> ByGold | None:
    """None where more than one choice is asked for, no gold is answered, or answers are too many.

    It takes seconds for a million answers.
    """
    asks = estimating.choices_of(project)
    if asks is None or not await _may_tell(session, project.id):
        return None
    found = await answered.answered(session, project, *asks)
    return await asyncio.to_thread(told_by, found.votes, found.gold, asks[1])


async def _may_tell(session: AsyncSession, project_id: UUID) -> bool:
    """Whether there is gold, and not too much to read; what is counted is bounded, too."""
    if await session.scalar(select(Gold.task_id).where(Gold.project_id == project_id).limit(1)):
        some = select(Answer.lease_id).where(Answer.project_id == project_id)
        some = some.limit(MOST_ANSWERS + 1)
        count = await session.scalar(select(func.count()).select_from(some.subquery()))
        return 0 < (count or 0) <= MOST_ANSWERS
    return False
