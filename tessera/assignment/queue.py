"""Moving places into the queue and out of it; nothing else does so but `claim`.

A place is one entry, or one live lease, or used up. `uq_queue_entries_...task_id_place` and
`uq_leases_place` make two of a kind impossible, and every function here moves a place from one
to the other in one transaction.

Locks are taken in one order, so nobody deadlocks: leases by id, then tasks by id, then entries
by task. A claim waits for nobody's entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import (
    LEASE_IS_LIVE,
    LEASE_IS_OPEN,
    Lane,
    Lease,
    LeaseState,
    QueueEntry,
    Task,
)
from tessera.kernel import db
from tessera.projects.models import Project

KEPT = timedelta(minutes=10)
"""So long a hard task waits for strong people."""

_STRONG_AROUND = text(
    f"""
    SELECT count(*) - (
      SELECT count(*) FROM queue_entries WHERE queue_entries.project_id = :project_id
        AND queue_entries.task_id = :task_id AND queue_entries.lane = {Lane.HARD:d}
    ) FROM (
      SELECT FROM standings strong
      WHERE strong.project_id = :project_id AND strong.strengths <> '{{}}'
        AND CAST(:needs AS bigint[]) <@ strong.strengths AND strong.step = 0
        AND strong.blocked_at IS NULL AND strong.leased_at > now() - interval '30 minutes'
        AND NOT EXISTS (
          SELECT FROM leases WHERE leases.project_id = :project_id AND leases.task_id = :task_id
            AND leases.earner_id = strong.earner_id)
        AND NOT EXISTS (
          SELECT FROM makers WHERE makers.project_id = :project_id AND makers.task_id = :task_id
            AND makers.earner_id = strong.earner_id)
      LIMIT :most
    ) AS around
    """  # noqa: S608 - made of constants
)
_RELEASE_KEPT = text(
    f"""
    UPDATE queue_entries SET lane = {Lane.SOON:d}, position = nextval('queue_positions'),
      needs = NULL, kept_until = NULL
    WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM queue_entries WHERE kept_until < now() AND lane = {Lane.HARD:d}
      ORDER BY kept_until LIMIT :limit FOR UPDATE SKIP LOCKED
    )) RETURNING place
    """  # noqa: S608 - made of constants
)
# The task is locked, so that it is not just being settled; and a completed project gets no
# entries, because none may appear behind `clear`.
_PUT_BACK = text(
    f"""
    WITH wanted AS (
      SELECT tasks.project_id, tasks.id, tasks.is_gold, closed.place
      FROM unnest(CAST(:project_ids AS uuid[]), CAST(:task_ids AS uuid[]), CAST(:places AS int[]))
        AS closed (project_id, task_id, place)
      JOIN tasks ON tasks.project_id = closed.project_id AND tasks.id = closed.task_id
      JOIN projects ON projects.id = tasks.project_id
      WHERE (tasks.state = 'open' OR tasks.is_gold) AND tasks.retired_at IS NULL
        AND projects.state <> 'completed'
      ORDER BY tasks.project_id, tasks.id
      FOR NO KEY UPDATE OF tasks
    )
    INSERT INTO queue_entries (project_id, lane, task_id, place)
    SELECT project_id, CASE WHEN is_gold THEN {Lane.GOLD:d} ELSE {Lane.SOON:d} END, id, place
    FROM wanted
    """  # noqa: S608 - made of constants
)
_CLEAR = text(
    """
    WITH left_over AS (
      SELECT task_id, place FROM queue_entries WHERE project_id = :project_id
      ORDER BY task_id, place LIMIT :limit FOR UPDATE
    )
    DELETE FROM queue_entries e USING left_over
    WHERE e.project_id = :project_id AND e.task_id = left_over.task_id
      AND e.place = left_over.place -- by address, one that is just moved would be missed
    RETURNING e.place
    """
)


async def put_back(session: AsyncSession, leases: Sequence[Lease]) -> None:
    """Queue the places of leases that were just closed, unless nobody needs to be asked any more.

    They go into the lane that is served first, so that a task does not wait for the rest of
    the project before it settles; gold goes back to gold.
    """
    if leases:
        await session.execute(
            _PUT_BACK,
            {
                "project_ids": [lease.project_id for lease in leases],
                "task_ids": [lease.task_id for lease in leases],
                "places": [lease.place for lease in leases],
            },
        )


@dataclass(frozen=True)
class Hard:
    """What people do not agree on, or are not sure of."""

    needs: Sequence[int]
    """What to be strong in, as `Standing.strengths` has it."""
    gain: float
    """See `QueueEntry`."""


async def add_places(
    session: AsyncSession, task: Task, count: int, hard: Hard | None = None
) -> int:
    """Ask for more answers to a task: its next unused places, as many as are left of `count`.

    Those to a hard one are kept for strong people, for as many as have been around lately whom it
    has not been given to. The caller holds the task's row lock.
    """
    if hard is None:
        return await _add(session, task, count, Lane.SOON)
    needs = list(hard.needs)
    whose = {"project_id": task.project_id, "task_id": task.id, "needs": needs}
    strong = (await session.execute(_STRONG_AROUND, {**whose, "most": task.places})).scalar_one()
    for_them = min(count, max(strong, 0))
    kept = {"gain": hard.gain, "needs": needs, "kept_until": func.now() + KEPT}
    added = await _add(session, task, for_them, Lane.HARD, **kept)
    return added + await _add(session, task, count - for_them, Lane.SOON, gain=hard.gain)


async def release_kept(session: AsyncSession, *, limit: int) -> int:
    """Give to anybody what strong people have not taken in time; returns how many places.

    Entries are moved and not made anew: who is just withdrawing one waits for this, and then takes
    it from where it is.
    """
    moved = await session.execute(_RELEASE_KEPT, {"limit": limit})
    return len(moved.all())


async def add_gold_places(session: AsyncSession, task: Task) -> int:
    """Put all places of a settled task that were paid for and not used into the gold lane.

    The caller holds the task's row lock.
    """
    return await _add(session, task, task.places, Lane.GOLD)


async def _add(session: AsyncSession, task: Task, count: int, lane: Lane, **columns: object) -> int:
    first = task.places_used + 1
    last = min(task.places_used + count, task.places)
    if last < first:
        return 0
    of_task = {"project_id": task.project_id, "lane": lane, "task_id": task.id, **columns}
    places = [{"place": place, **of_task} for place in range(first, last + 1)]
    await session.execute(insert(QueueEntry).values(places))
    task.places_used = last
    return last - first + 1


async def take_out(session: AsyncSession, tasks: Sequence[Task]) -> tuple[int, list[int]]:
    """Take from gold tasks all places that nobody has: they are to become another one's.

    The caller holds the tasks' row locks. Who is just taking a place has it: we wait for them, and
    their lease can be seen afterwards.

    Returns:
        How many places those are, and where some of them were in the queue.
    """
    if not tasks:
        return 0, []
    ids, project_id = [task.id for task in tasks], tasks[0].project_id
    of_them = (QueueEntry.project_id == project_id) & QueueEntry.task_id.in_(ids)
    gone = await session.scalars(delete(QueueEntry).where(of_them).returning(QueueEntry.position))
    positions = sorted(gone.all())
    live = select(Lease.task_id, func.count()).where(
        Lease.project_id == project_id, Lease.task_id.in_(ids), LEASE_IS_LIVE
    )
    held: dict[UUID, int] = dict((await session.execute(live.group_by(Lease.task_id))).all())
    free = 0
    for task in tasks:
        kept = held.get(task.id, 0)
        free += task.places - kept
        task.places = task.places_used = kept
    await session.flush()
    return free, positions


async def put_in(session: AsyncSession, task: Task, free: int, positions: Sequence[int]) -> None:
    """Give a gold task places that were taken from others, some of them where those were queued.

    So gold comes as evenly as before; and who has passed a place has met what was there. Those that
    were not queued are as others that are not: `assignment.opening` queues them.
    """
    first = task.places_used + 1
    if positions:
        await session.execute(
            insert(QueueEntry),
            [
                {
                    "project_id": task.project_id,
                    "lane": Lane.GOLD,
                    "position": position,
                    "task_id": task.id,
                    "place": first + number,
                }
                for number, position in enumerate(positions)
            ],
        )
    task.places += free
    task.places_used += len(positions)
    await session.flush()


async def underway(
    session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]
) -> dict[UUID, int]:
    """Answers to tasks that may still come: places in the queue, and those leased."""
    queued = select(QueueEntry.task_id).where(
        QueueEntry.project_id == project_id, QueueEntry.task_id.in_(task_ids)
    )
    leased = select(Lease.task_id).where(
        Lease.project_id == project_id, Lease.task_id.in_(task_ids), LEASE_IS_OPEN
    )
    both = queued.union_all(leased).subquery()
    counted = select(both.c.task_id, func.count()).group_by(both.c.task_id)
    found: dict[UUID, int] = dict((await session.execute(counted)).all())
    return {task_id: found.get(task_id, 0) for task_id in task_ids}


async def withdraw(session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]) -> None:
    """Take the free places of settled tasks out of the queue; leases that are out stay good.

    The caller holds the tasks' row locks.
    """
    await session.execute(
        delete(QueueEntry).where(
            QueueEntry.project_id == project_id, QueueEntry.task_id.in_(task_ids)
        )
    )


async def clear(session: AsyncSession, project_id: UUID, *, limit: int = 10_000) -> int:
    """Take entries of a completed project out of the queue; returns how many there were."""
    gone = await session.scalars(_CLEAR, {"project_id": project_id, "limit": limit})
    return len(gone.all())


async def expire_leases(session: AsyncSession, *, grace_seconds: int, limit: int) -> int:
    """Close leases that ran out more than a grace ago, and queue their places again."""
    grace = func.make_interval(0, 0, 0, 0, 0, 0, grace_seconds)
    due = (
        select(Lease)
        .where(LEASE_IS_OPEN, Lease.expires_at < func.now() - grace)
        .order_by(Lease.expires_at)
        .limit(limit)
    )
    leases = (await session.scalars(db.locking(due, skip_locked=True))).all()
    await _close(session, leases, LeaseState.EXPIRED)
    return len(leases)


async def return_leases(
    session: AsyncSession, *, earner_id: UUID, lease_ids: Sequence[UUID], reason: str
) -> Sequence[Lease]:
    """Close open leases, unanswered; the tasks go to others and never to this earner again."""
    leases = await _open_of(session, earner_id, lease_ids)
    await _close(session, leases, LeaseState.RETURNED, reason)
    return leases


async def _close(
    session: AsyncSession, leases: Sequence[Lease], state: LeaseState, reason: str | None = None
) -> None:
    for lease in leases:
        lease.state, lease.closed_reason = state, reason
    await session.flush()
    await put_back(session, leases)


async def extend_leases(
    session: AsyncSession, *, earner_id: UUID, lease_ids: Sequence[UUID], most_times: int
) -> Sequence[Lease]:
    """Give open leases of an earner their full time again, from now.

    Args:
        most_times: Cap on the whole life of a lease, in lengths of its project's lease.
    """
    leases = await _open_of(session, earner_id, lease_ids)
    length = func.make_interval(0, 0, 0, 0, 0, 0, Project.lease_seconds)
    extended = await session.scalars(
        update(Lease)
        .where(Lease.id.in_([lease.id for lease in leases]), Lease.project_id == Project.id)
        .values(
            expires_at=func.greatest(
                Lease.expires_at,
                func.least(func.now() + length, Lease.leased_at + length * most_times),
            )
        )
        .returning(Lease)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return extended.all()


async def _open_of(
    session: AsyncSession, earner_id: UUID, lease_ids: Sequence[UUID]
) -> Sequence[Lease]:
    mine = select(Lease).where(Lease.id.in_(lease_ids), Lease.earner_id == earner_id, LEASE_IS_OPEN)
    return (await session.scalars(db.locking(mine.order_by(Lease.id)))).all()
