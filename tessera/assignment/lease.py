"""Handing out tasks.

Postgres decides, in `queries.claim`. Each (earner, project) reads the queue with a cursor of
their own, so nobody looks at the same entry twice, and a lease costs the same in a project of
ten thousand tasks and of ten million.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import SystemRandom
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queries
from tessera.assignment.errors import Blocked
from tessera.assignment.models import Lane, Lease, LeaseState, Standing
from tessera.assignment.queries import Claimed
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.projects.models import Project, ProjectState

NEWCOMER_GOLD_CHANCE = 0.5
"""Until somebody has answered gold, every other task they get is gold."""
MOST_HELD = 50
"""Open leases an earner may hold at once, over all projects."""
PROJECTS_TRIED = 20
CLAIMS = 4
"""Bounded scans that one lease call spends on a lane before it says that there is nothing."""

_dice = SystemRandom()


@dataclass(frozen=True)
class Handed:
    """What a lease call hands out; if that is nothing, why."""

    leases: Sequence[tuple[Project, Claimed]]
    server_time: datetime
    reason: str | None = None
    retry_after_seconds: int | None = None


async def lease(
    session: AsyncSession, *, earner_id: UUID, project_id: UUID | None, count: int
) -> Handed:
    """Lease up to `count` tasks, of one project or of any open one.

    Raises:
        NotFound: The project named is not open to anybody.
        Blocked: The earner may not work on the project named any more.
    """
    server_time: datetime = (await session.execute(select(func.now()))).scalar_one()
    room = min(count, MOST_HELD - await _held(session, earner_id))
    if room <= 0:
        return Handed([], server_time, "too-many-open-leases", 5)
    handed: list[tuple[Project, Claimed]] = []
    for project in await _open_projects(session, earner_id, project_id):
        taken = await _lease_of(session, project, earner_id, room - len(handed))
        handed += [(project, claimed) for claimed in taken]
        if len(handed) >= room:
            break
    if not handed:
        return Handed([], server_time, "no-work", 30)
    return Handed(handed, server_time)


async def _held(session: AsyncSession, earner_id: UUID) -> int:
    held = select(Lease.id).where(Lease.earner_id == earner_id, Lease.state == LeaseState.OPEN)
    return (
        await session.scalar(select(func.count()).select_from(held.limit(MOST_HELD).subquery()))
    ) or 0


async def _open_projects(
    session: AsyncSession, earner_id: UUID, project_id: UUID | None
) -> Sequence[Project]:
    blocked = Standing.blocked_at.is_not(None)
    of_earner = (Standing.project_id == Project.id) & (Standing.earner_id == earner_id)
    if project_id is None:
        # where they have worked before comes first, then the oldest
        mine = (
            select(Project)
            .outerjoin(Standing, of_earner)
            .where(Project.state == ProjectState.OPEN, Standing.blocked_at.is_(None))
            .order_by(Standing.project_id.is_(None), Project.launched_at, Project.id)
            .limit(PROJECTS_TRIED)
        )
        return (await session.scalars(mine)).all()
    row = (
        await session.execute(
            select(Project, Standing.reason, blocked)
            .outerjoin(Standing, of_earner)
            .where(Project.id == project_id, Project.state == ProjectState.OPEN)
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such project open.")
    project, reason, is_blocked = row
    if is_blocked:
        raise Blocked(reason or "You can get no more tasks of this project.")
    return [project]


async def _lease_of(
    session: AsyncSession, project: Project, earner_id: UUID, count: int
) -> list[Claimed]:
    standing = await _locked_standing(session, project.id, earner_id)
    gold_count = sum(_dice.random() < standing.gold_chance for _ in range(count))
    taken = await _normal(session, project, standing, count - gold_count)
    if not taken and not (
        gold_count == count
        and await queries.work_ahead(
            session,
            project_id=project.id,
            earner_id=earner_id,
            soon=standing.soon_position,
            normal=standing.normal_position,
        )
    ):
        return []  # gold by itself would be filler work
    taken += await _walk(session, project, standing, Lane.GOLD, gold_count)
    taken += await _normal(session, project, standing, count - len(taken))
    _dice.shuffle(taken)
    return taken


async def _normal(
    session: AsyncSession, project: Project, standing: Standing, count: int
) -> list[Claimed]:
    soon = await _walk(session, project, standing, Lane.SOON, count)
    return soon + await _walk(session, project, standing, Lane.NORMAL, count - len(soon))


async def _locked_standing(session: AsyncSession, project_id: UUID, earner_id: UUID) -> Standing:
    """The earner's row, locked: their own concurrent calls queue up, nobody else's."""
    one = db.locking(
        select(Standing).where(Standing.project_id == project_id, Standing.earner_id == earner_id)
    )
    standing: Standing | None = await session.scalar(one)
    if standing is None:
        await session.execute(
            insert(Standing)
            .values(project_id=project_id, earner_id=earner_id, gold_chance=NEWCOMER_GOLD_CHANCE)
            .on_conflict_do_nothing()
        )
        standing = (await session.scalars(one)).one()
    return standing


async def _walk(
    session: AsyncSession, project: Project, standing: Standing, lane: Lane, count: int
) -> list[Claimed]:
    """Take from a lane, moving the earner's cursor along."""
    cursor_name = f"{lane.name.lower()}_position"
    taken: list[Claimed] = []
    wrapped = False
    for _ in range(CLAIMS):
        if len(taken) >= count:
            break
        cursor: int = getattr(standing, cursor_name)
        claimed, cursor_after = await queries.claim(
            session,
            project_id=project.id,
            earner_id=standing.earner_id,
            lane=lane,
            cursor=cursor,
            count=count - len(taken),
            seconds=project.lease_seconds,
        )
        taken += claimed
        if not claimed:
            cursor_after, at_end = await queries.horizon(
                session, project_id=project.id, lane=lane, cursor=cursor
            )
            if at_end:
                # Entries that others had locked for a moment were passed over; begin again for
                # them, once. Gold has others enough.
                if wrapped or cursor == 0 or lane is Lane.GOLD or taken:
                    setattr(standing, cursor_name, cursor_after)
                    break
                wrapped, cursor_after = True, 0
        setattr(standing, cursor_name, cursor_after)
    return taken
