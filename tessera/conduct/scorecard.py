"""How often an operator's decisions about earners were overturned: for earners to see."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.decisions.models import Decision
from tessera.projects.models import Project

ENOUGH, OFTEN = 5, 1 / 3
"""So many answered contests, and such a part of them upheld, and it is said."""


@dataclass(frozen=True)
class Scorecard:
    """Of the last year."""

    contested: int = 0
    """Decisions whose contest is over."""
    upheld: int = 0
    """Of these, with the earner right."""
    unanswered: int = 0
    """Of those, as nobody answered."""

    @property
    def is_often_overturned(self) -> bool:
        return self.contested >= ENOUGH and self.upheld >= OFTEN * self.contested


async def scorecards(
    session: AsyncSession, organisation_ids: Collection[UUID]
) -> Mapping[UUID, Scorecard]:
    """By organisation; of all that are asked for."""
    rows = await session.execute(
        select(
            Project.organisation_id,
            func.count(),
            func.count().filter(Decision.upheld.is_(True)),
            func.count().filter(Decision.upheld.is_(True), Decision.resolved_by.is_(None)),
        )
        .join(Project, Project.id == Decision.project_id)
        .where(
            Project.organisation_id.in_(organisation_ids),
            Decision.contested_at.is_not(None),
            Decision.resolved_at > func.now() - func.make_interval(1),
        )
        .group_by(Project.organisation_id)
    )
    found = {each: Scorecard(*counts) for each, *counts in rows}
    return {each: found.get(each, Scorecard()) for each in organisation_ids}
