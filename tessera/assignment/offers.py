"""What an earner may work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.leased import Leased
from tessera.assignment.models import LEASE_IS_OPEN, Lease, Standing, Task
from tessera.assignment.training import State, standing_of
from tessera.assignment.training_models import Trainee, Training
from tessera.images.models import Tile
from tessera.kernel.errors import NotFound
from tessera.kernel.paging import After
from tessera.projects.models import Project, ProjectState


@dataclass(frozen=True)
class Offer:
    """An open project, and whether this earner may take its tasks."""

    project: Project
    blocked_reason: str | None
    training: "Trained | None"
    """None: the project trains nobody."""


@dataclass(frozen=True)
class Trained:
    """How far an earner is in a training; whether one may begin now, `training.look` tells."""

    training: Training
    state: State
    again_at: datetime | None


async def offers(
    session: AsyncSession, *, earner_id: UUID, after: After | None, limit: int
) -> Sequence[Offer]:
    """Open projects, newest first; those the earner may not work on say why."""
    open_ones = _seen_by(earner_id).where(Project.state == ProjectState.OPEN)
    if after is not None:
        open_ones = open_ones.where(tuple_(Project.created_at, Project.id) < after)
    newest = open_ones.order_by(Project.created_at.desc(), Project.id.desc()).limit(limit)
    return [_offer(row) for row in await session.execute(newest)]


async def offer(session: AsyncSession, project_id: UUID, *, earner_id: UUID) -> Offer:
    """One project as an earner sees it: while it is open, or if they have worked on it.

    Raises:
        NotFound: It is neither.
    """
    one = _seen_by(earner_id).where(Project.id == project_id)
    row = (await session.execute(one)).one_or_none()
    if row is None or (row.Project.state is not ProjectState.OPEN and row.Standing is None):
        raise NotFound("There is no such project open.")
    return _offer(row)


def _seen_by(earner_id: UUID) -> Select[Project, Standing, Training, Trainee, datetime]:
    theirs = (Standing.project_id == Project.id) & (Standing.earner_id == earner_id)
    they_train = (Trainee.project_id == Project.id) & (Trainee.earner_id == earner_id)
    return (
        select(Project, Standing, Training, Trainee, func.now().label("now"))
        .outerjoin(Standing, theirs)
        .outerjoin(Training, Training.project_id == Project.id)
        .outerjoin(Trainee, they_train)
    )


def _offer(row: Row[Project, Standing, Training, Trainee, datetime]) -> Offer:
    project, standing, training, trainee, now = row
    reason = standing.reason if standing else None
    trained = Trained(training, *standing_of(trainee, now)) if training else None
    return Offer(project, reason, trained)


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
