"""What an earner may work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import LEASE_IS_OPEN, Lease, Standing
from tessera.kernel.errors import NotFound
from tessera.kernel.paging import After
from tessera.projects.models import Project, ProjectState


@dataclass(frozen=True)
class Offer:
    """An open project, and whether this earner may take its tasks."""

    project: Project
    blocked_reason: str | None


async def offers(
    session: AsyncSession, *, earner_id: UUID, after: After | None, limit: int
) -> Sequence[Offer]:
    """Open projects, newest first; those the earner may not work on say why."""
    of_earner = (Standing.project_id == Project.id) & (Standing.earner_id == earner_id)
    open_ones = (
        select(Project, Standing.reason)
        .outerjoin(Standing, of_earner)
        .where(Project.state == ProjectState.OPEN)
    )
    if after is not None:
        open_ones = open_ones.where(tuple_(Project.created_at, Project.id) < after)
    newest = open_ones.order_by(Project.created_at.desc(), Project.id.desc()).limit(limit)
    return [Offer(project, reason) for project, reason in (await session.execute(newest))]


async def offer(session: AsyncSession, project_id: UUID, *, earner_id: UUID) -> Offer:
    """One project as an earner sees it: while it is open, or if they have worked on it.

    Raises:
        NotFound: It is neither.
    """
    row = (
        await session.execute(
            select(Project, Standing)
            .outerjoin(
                Standing, (Standing.project_id == Project.id) & (Standing.earner_id == earner_id)
            )
            .where(Project.id == project_id)
        )
    ).one_or_none()
    if row is None or (row[0].state is not ProjectState.OPEN and row[1] is None):
        raise NotFound("There is no such project open.")
    project, standing = row
    return Offer(project, standing.reason if standing else None)


async def held(session: AsyncSession, *, earner_id: UUID) -> Sequence[Lease]:
    """The open leases of an earner, the most urgent first."""
    mine = (
        select(Lease)
        .where(Lease.earner_id == earner_id, LEASE_IS_OPEN)
        .order_by(Lease.expires_at, Lease.id)
    )
    return (await session.scalars(mine)).all()
