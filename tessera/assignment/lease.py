"""Handing out tasks.

Postgres decides, in `queries.claim`. Each earner reads the queue of a project with an own cursor,
so nobody looks at the same entry twice, and a lease costs the same in a project of ten thousand
tasks and of ten million.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from random import SystemRandom
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from tessera.assignment import queries
from tessera.assignment.errors import Blocked, Stopped, TrainingNeeded
from tessera.assignment.leased import Leased
from tessera.assignment.models import LEASE_IS_OPEN, Lane, Lease, QueueEntry, Standing
from tessera.assignment.training import trains
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.projects.models import Project, ProjectState
from tessera.projects.policies import Quality
from tessera.truth.response import Step

NEWCOMER_GOLD_CHANCE = 0.5
"""Until somebody has answered gold, every other task they get is gold."""
NEWCOMER_TASKS = 8
"""But of one call only so many: that is gold enough to judge them by, and the rest of a large batch
has no more of it than the project's share. Or whoever shows up would drain it."""
MOST_HELD = 50
"""Open leases an earner may hold, over all projects."""
MOST_TRIED = 10
"""Projects that a call which names none looks into, of those its earner knows, and of others."""
MOST_CLAIMS = 4
"""Claims of one project in one call. Of several entries of a task only one can be an earner's, so
where a task's entries lie close together, one claim finds fewer tasks than there are."""
SLOW_TASKS, SLOW_PACE = 2, timedelta(seconds=20)
"""Whose answers are unusual gets so many tasks at a time, and no more before so long for each."""
AGAIN_CHANCE = 1 / 8
"""That a call begins the lane `soon` anew, if the earner has come to its end."""
RETRY_SECONDS, RETRY_SOON_SECONDS = 30, 2

_dice = SystemRandom()


@dataclass(frozen=True)
class Handed:
    """What a lease call hands out; if that is nothing, why."""

    leases: Sequence[Leased]
    server_time: datetime
    reason: str | None = None
    retry_after_seconds: int | None = None


async def lease(
    session: AsyncSession, *, earner_id: UUID, project_id: UUID | None, count: int
) -> Handed:
    """Lease up to `count` tasks, of one project or of any open one.

    Raises:
        NotFound: The project named is not open to anybody.
        Blocked, Stopped: The earner may not work on the project named any more.
        TrainingNeeded: They have not passed its training yet.
    """
    server_time = await queries.begin_lease(session, earner_id)
    room = min(count, MOST_HELD - await _held(session, earner_id))
    if room <= 0:
        return Handed([], server_time, "too-many-open-leases", RETRY_SOON_SECONDS)
    handed: list[Leased] = []
    tried, ask_soon, paused = 0, False, server_time
    async with aclosing(_offers(session, earner_id, project_id)) as offers:
        async for project, standing in offers:
            claimed, more = await _claim(session, project, standing, room - len(handed))
            handed += claimed
            paused = max(paused, standing.next_lease_at or paused)
            tried += 1
            ask_soon |= more or tried >= MOST_TRIED  # then there may be others with work
            if len(handed) == room:
                break
    if not handed and tried == 1 and paused > server_time:
        return Handed([], server_time, "slowed", ceil((paused - server_time).total_seconds()))
    if not handed:
        return Handed([], server_time, "no-work", RETRY_SOON_SECONDS if ask_soon else RETRY_SECONDS)
    _dice.shuffle(handed)  # several claims, each with gold among its own
    return Handed(handed, server_time)


async def _held(session: AsyncSession, earner_id: UUID) -> int:
    mine = select(Lease.id).where(Lease.earner_id == earner_id, LEASE_IS_OPEN)
    held = select(func.count()).select_from(mine.limit(MOST_HELD).subquery())
    return (await session.execute(held)).scalar_one()


async def _claim(
    session: AsyncSession, project: Project, standing: Standing, count: int
) -> tuple[Sequence[Leased], bool]:
    """Claim up to `count` tasks; if there are none, also whether to ask again soon."""
    if standing.step >= Step.SLOWER:
        return await _slowly(session, project, standing, count)
    return await _claim_some(session, project, standing, count)


async def _slowly(
    session: AsyncSession, project: Project, standing: Standing, count: int
) -> tuple[Sequence[Leased], bool]:
    """Few at a time, and no more before those may be done."""
    now = (await session.execute(select(func.now()))).scalar_one()
    if standing.next_lease_at is not None and now < standing.next_lease_at:
        return [], True
    taken, more = await _claim_some(session, project, standing, min(count, SLOW_TASKS))
    if taken:
        standing.next_lease_at = now + SLOW_PACE * len(taken)
    return taken, more


async def _claim_some(
    session: AsyncSession, project: Project, standing: Standing, count: int
) -> tuple[Sequence[Leased], bool]:
    taken: list[Leased] = []
    seldom = min(standing.gold_chance, Quality(**project.quality).gold_share)
    chances = [standing.gold_chance] * NEWCOMER_TASKS + [seldom] * count
    for _ in range(MOST_CLAIMS):
        wanted = count - len(taken)
        claimed, more = await queries.claim(
            session,
            project,
            standing,
            count=wanted,
            gold=sum(_dice.random() < chance for chance in chances[len(taken) :][:wanted]),
            again=_dice.random() < AGAIN_CHANCE,
        )
        taken += claimed
        if not claimed or not more or len(taken) == count:
            break
    return taken, more and not taken


async def _offers(
    session: AsyncSession, earner_id: UUID, project_id: UUID | None
) -> AsyncGenerator[tuple[Project, Standing]]:
    """Projects to look into, one after the other, with the earner's standing locked."""
    if project_id is not None:
        yield await _named(session, earner_id, project_id)
        return
    for known in await _known(session, earner_id):
        yield known
    for project in await _unknown(session, earner_id):
        yield project, await _standing(session, earner_id, project.id)


async def _named(
    session: AsyncSession, earner_id: UUID, project_id: UUID
) -> tuple[Project, Standing]:
    named = _open_projects().add_columns(trains()).where(Project.id == project_id)
    row = (await session.execute(named)).one_or_none()
    if row is None:
        raise NotFound("There is no such project open.")
    project, is_trained_for = row
    standing = await _standing(session, earner_id, project_id)
    if standing.blocked_at is not None:
        refusal = Blocked if standing.stopped_by is None else Stopped
        raise refusal(standing.reason or "You can get no more tasks of this project.")
    if is_trained_for and standing.trained_at is None:
        raise TrainingNeeded("Pass the training of this project first.")
    return project, standing


async def _known(session: AsyncSession, earner_id: UUID) -> Sequence[tuple[Project, Standing]]:
    """Projects with entries that the earner has worked on.

    Any few of them: so none waits for ever behind others in which there is nothing for them.
    """
    known = (
        _open_projects()
        .join(Standing, Standing.project_id == Project.id)
        .where(Standing.earner_id == earner_id, Standing.blocked_at.is_(None), _has_entries())
        .where(Standing.trained_at.is_not(None) | ~trains())
        .order_by(func.random())
        .limit(MOST_TRIED)
    )
    projects = (await session.scalars(known)).all()
    # all locks before the first claim, in one order: settling takes standings before entries, too
    mine = select(Standing).where(
        Standing.earner_id == earner_id, Standing.project_id.in_([each.id for each in projects])
    )
    locked = await session.scalars(db.locking(mine.order_by(Standing.project_id)))
    # somebody may have been blocked while this waited for the locks
    standings = {each.project_id: each for each in locked if each.blocked_at is None}
    return [(each, standings[each.id]) for each in projects if each.id in standings]


async def _unknown(session: AsyncSession, earner_id: UUID) -> Sequence[Project]:
    """The oldest projects with entries of which the earner has had nothing yet."""
    known = exists().where(Standing.project_id == Project.id, Standing.earner_id == earner_id)
    oldest = _open_projects().where(~known, ~trains(), _has_entries())
    ordered = oldest.order_by(Project.launched_at, Project.id).limit(MOST_TRIED)
    return (await session.scalars(ordered)).all()


def _open_projects() -> Select[Project]:
    columns = (
        Project.kind,
        Project.currency,
        Project.price_micro,
        Project.lease_seconds,
        Project.quality,
    )
    return (
        select(Project)
        .where(Project.state == ProjectState.OPEN)
        .options(load_only(*columns, raiseload=True))
    )


def _has_entries() -> ColumnElement[bool]:
    return exists().where(QueueEntry.project_id == Project.id, QueueEntry.lane < Lane.GOLD)


async def _standing(session: AsyncSession, earner_id: UUID, project_id: UUID) -> Standing:
    """The earner's row, locked: their own concurrent calls queue up, nobody else's."""
    mine = db.locking(
        select(Standing).where(Standing.project_id == project_id, Standing.earner_id == earner_id)
    )
    standing: Standing | None = await session.scalar(mine)
    if standing is None:
        await session.execute(
            insert(Standing)
            .values(project_id=project_id, earner_id=earner_id, gold_chance=NEWCOMER_GOLD_CHANCE)
            .on_conflict_do_nothing()
        )
        standing = (await session.scalars(mine)).one()
    return standing
