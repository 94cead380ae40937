"""What an earner may work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.leased import Leased
from tessera.assignment.models import LEASE_IS_OPEN, Lease, Standing, Task
from tessera.images.models import Tile
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


async def held(session: AsyncSession, *, earner_id: UUID) -> Sequence[Leased]:
    """The open leases of an earner, the most urgent first."""
    mine = (
        select(
            Lease.id,
            Lease.fence,
            Lease.project_id,
            Project.kind,
            Project.price_micro,
            Project.currency,
            Lease.expires_at,
            Tile.key,
            Tile.content_type,
            (Tile.window_right - Tile.window_left).label("width"),
            (Tile.window_bottom - Tile.window_top).label("height"),
            Task.subject,
        )
        .join(Project, Project.id == Lease.project_id)
        .join(Task, (Task.project_id == Lease.project_id) & (Task.id == Lease.task_id))
        .join(Tile, Tile.id == Task.tile_id)
        .where(Lease.earner_id == earner_id, LEASE_IS_OPEN)
        .order_by(Lease.expires_at, Lease.id)
    )
    return [Leased(**row._asdict()) for row in await session.execute(mine)]


async def promised(session: AsyncSession, *, earner_id: UUID) -> dict[str, int]:
    """What the open leases of an earner would earn, in micro-units by currency."""
    mine = (
        select(Project.currency, func.sum(Project.price_micro))
        .join(Lease, Lease.project_id == Project.id)
        .where(Lease.earner_id == earner_id, LEASE_IS_OPEN)
        .group_by(Project.currency)
    )
    return {currency: int(total) for currency, total in await session.execute(mine)}
