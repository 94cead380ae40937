"""Giving back what a completed project did not need."""

from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queue, training
from tessera.assignment.models import LEASE_IS_OPEN, Lease, Task, TaskState
from tessera.earnings import service as earnings
from tessera.earnings.models import Earning, EarningState
from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.models import AccountKind, Event
from tessera.ledger.service import Reason
from tessera.projects.models import Project, ProjectState


async def release(session: AsyncSession, *, project_id: UUID) -> bool:
    """Give a completed project's unspent reserve back, once nothing can be earned in it any more.

    What was rejected and may yet be paid stays, until it cannot be any more.

    Returns:
        Whether it is done; if not, a lease, a training or a decision is still open.
    """
    project: Project | None = await session.scalar(
        db.locking(select(Project).where(Project.id == project_id))
    )
    if project is None or project.state is not ProjectState.COMPLETED:
        return True
    # Before the look at the leases, to wait for claims that are under way. Nothing is added
    # meanwhile: claiming and putting back look at the project's state.
    await queue.clear(session, project_id)
    await _keep_doubted(session, project_id)
    if await _is_held(session, project_id) or not await training.is_over(session, project_id):
        return False
    # the little that is left: what others were deciding while `approve_waiting` went by
    await earnings.approve(session, Earning.project_id == project_id)
    if await _is_unposted(session, project_id):
        return False
    money = await ledger.balances(session, AccountKind.ESCROW, project_id)
    left = money.get(project.currency, 0) - await earnings.set_aside_micro(session, project_id)
    if left > 0:
        await ledger.move(
            session,
            ledger.escrow(project_id),
            ledger.organisation(project.organisation_id),
            amount_micro=left,
            currency=project.currency,
            reason=Reason(Event.RELEASE, f"release:{project_id}:{uuid4()}"),
        )
    return True


async def approve_waiting(session: AsyncSession, *, project_id: UUID, limit: int) -> int:
    """Approve what waits in a completed project whose queue is empty, some of it at a time.

    Whoever stops waiting for an answer's fate pays for it. Returns how many were approved: none
    while leases are open, since their answers may still decide.
    """
    if await _is_held(session, project_id):
        return 0
    return await earnings.approve_older(
        session, project_id=project_id, than=timedelta(0), limit=limit
    )


async def _keep_doubted(session: AsyncSession, project_id: UUID) -> None:
    """Settle again, as it was, what is asked about once more: nobody answers it now."""
    mine = Task.project_id == project_id
    doubted = select(Task.id).where(
        mine, Task.state == TaskState.OPEN, Task.doubted_at.is_not(None), Task.label.is_not(None)
    )
    # in the order in which settling locks them
    task_ids = (await session.scalars(db.locking(doubted.order_by(Task.id)))).all()
    if task_ids:
        await session.execute(
            update(Task)
            .where(mine, Task.id.in_(task_ids))
            .values(state=TaskState.SETTLED, settled_by="consensus", settled_at=func.now())
        )


async def _is_held(session: AsyncSession, project_id: UUID) -> bool:
    open_ones = select(Lease.id).where(Lease.project_id == project_id, LEASE_IS_OPEN)
    return await session.scalar(open_ones.order_by(Lease.expires_at).limit(1)) is not None


async def _is_unposted(session: AsyncSession, project_id: UUID) -> bool:
    unposted = select(Earning.lease_id).where(
        Earning.project_id == project_id, Earning.state == EarningState.APPROVED
    )
    return await session.scalar(unposted.limit(1)) is not None
