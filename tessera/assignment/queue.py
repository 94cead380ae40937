"""Moving places into the queue and out of it; nothing else writes queue entries but leasing.

A place is one entry, or one live lease, or used up. `uq_queue_entries_...task_id_place` and
`uq_leases_place` make two of a kind impossible, and every function here moves a place from one
to the other in one transaction.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Lane, Lease, LeaseState, QueueEntry, Task
from tessera.kernel import db
from tessera.projects.models import Project


async def put_back(session: AsyncSession, leases: Sequence[Lease]) -> None:
    """Queue the places of leases that were just closed, unless their tasks are settled.

    They go into the lane that is served first, so that a task does not wait for the rest of
    the project before it settles; gold goes back to gold.
    """
    if not leases:
        return
    wanted = {
        (project_id, task_id)
        for project_id, task_id in (
            await session.execute(
                select(Task.project_id, Task.id).where(
                    tuple_(Task.project_id, Task.id).in_(
                        [(lease.project_id, lease.task_id) for lease in leases]
                    ),
                    (Task.settled_at.is_(None)) | Task.is_gold,
                )
            )
        )
    }
    entries = [
        {
            "project_id": lease.project_id,
            "lane": Lane.GOLD if lease.lane == Lane.GOLD else Lane.SOON,
            "task_id": lease.task_id,
            "place": lease.place,
        }
        for lease in leases
        if (lease.project_id, lease.task_id) in wanted
    ]
    if entries:
        await session.execute(insert(QueueEntry), entries)


async def take_back(session: AsyncSession, lease: Lease) -> bool:
    """Take the place of a lease that ran out, if it is still free; for a late answer."""
    taken = await session.scalar(
        delete(QueueEntry)
        .where(
            QueueEntry.project_id == lease.project_id,
            QueueEntry.task_id == lease.task_id,
            QueueEntry.place == lease.place,
        )
        .returning(QueueEntry.place)
    )
    return taken is not None


async def add_places(session: AsyncSession, task: Task, count: int) -> int:
    """Ask for more answers to a task: its next unused places, as many as are left of `count`.

    The caller holds the task's row lock.
    """
    count = min(count, task.places - task.places_used)
    if count > 0:
        await _add(session, task, count, Lane.SOON)
    return max(count, 0)


async def _add(session: AsyncSession, task: Task, count: int, lane: Lane) -> None:
    first = task.places_used + 1
    await session.execute(
        insert(QueueEntry),
        [
            {"project_id": task.project_id, "lane": lane, "task_id": task.id, "place": place}
            for place in range(first, first + count)
        ],
    )
    task.places_used += count


async def add_gold_places(session: AsyncSession, task: Task) -> int:
    """Put all places of a settled task that were paid for and not used into the gold lane.

    The caller holds the task's row lock.
    """
    count = task.places - task.places_used
    if count > 0:
        await _add(session, task, count, Lane.GOLD)
    return count


async def withdraw(session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]) -> None:
    """Take the free places of settled tasks out of the queue; leases that are out stay good."""
    await session.execute(
        delete(QueueEntry).where(
            QueueEntry.project_id == project_id, QueueEntry.task_id.in_(task_ids)
        )
    )


async def expire_leases(session: AsyncSession, *, grace_seconds: int, limit: int) -> int:
    """Close leases that ran out more than a grace ago, and queue their places again."""
    due = db.locking(
        select(Lease)
        .where(
            Lease.state == LeaseState.OPEN,
            Lease.expires_at < func.now() - text(f"interval '{int(grace_seconds)} seconds'"),
        )
        .order_by(Lease.expires_at)
        .limit(limit),
        skip_locked=True,
    )
    leases = (await session.scalars(due)).all()
    for lease in leases:
        lease.state = LeaseState.EXPIRED
    await session.flush()
    await put_back(session, leases)
    return len(leases)


async def extend_leases(
    session: AsyncSession, *, earner_id: UUID, lease_ids: Sequence[UUID], most_times: int
) -> Sequence[Lease]:
    """Give open leases of an earner their full time again, from now.

    Args:
        most_times: Cap on the whole life of a lease, in lengths of its project's lease.
    """
    length = func.make_interval(0, 0, 0, 0, 0, 0, Project.lease_seconds)
    extended = await session.scalars(
        update(Lease)
        .where(
            Lease.id.in_(lease_ids),
            Lease.earner_id == earner_id,
            Lease.state == LeaseState.OPEN,
            Lease.project_id == Project.id,
        )
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


async def return_leases(
    session: AsyncSession, *, earner_id: UUID, lease_ids: Sequence[UUID], reason: str
) -> Sequence[Lease]:
    """Close open leases, unanswered; the tasks go to others and never to this earner again."""
    open_ones = db.locking(
        select(Lease)
        .where(
            Lease.id.in_(lease_ids),
            Lease.earner_id == earner_id,
            Lease.state == LeaseState.OPEN,
        )
        .order_by(Lease.id)
    )
    leases = (await session.scalars(open_ones)).all()
    for lease in leases:
        lease.state, lease.closed_reason = LeaseState.RETURNED, reason
    await session.flush()
    await put_back(session, leases)
    return leases
