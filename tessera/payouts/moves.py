"""Moving payouts and batches along their lives: the UPDATE is the check.

Locks are taken in this order: a batch, its payouts, ledger accounts.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.payouts.errors import WrongState
from tessera.payouts.models import BatchState, Payout, PayoutBatch, PayoutState
from tessera.payouts.states import batch_sources, payout_sources


async def move_payouts(
    session: AsyncSession, to: PayoutState, *which: ColumnElement[bool], **values: Any
) -> Sequence[Payout]:
    """Move those of the payouts that may go there; returns them, in no order."""
    moved = await session.scalars(
        update(Payout)
        .where(Payout.state.in_(payout_sources(to)), *which)
        .values(state=to, **values)
        .returning(Payout)
        .execution_options(populate_existing=True)
    )
    return moved.all()


async def move_payout(
    session: AsyncSession, to: PayoutState, *which: ColumnElement[bool], **values: Any
) -> Payout:
    """Move one payout.

    Raises:
        NotFound: There is none like this.
        WrongState: It cannot go there from where it is.
    """
    for moved in await move_payouts(session, to, *which, **values):
        return moved
    state = await session.scalar(select(Payout.state).where(*which))
    if state is None:
        raise NotFound("There is no such thing here.")
    raise WrongState(f"A payout that is {state} cannot become {to}.", state=state)


async def locked_batch(session: AsyncSession, batch_id: UUID) -> PayoutBatch:
    """Lock a batch, so that its items stay what they are until this transaction ends.

    Raises:
        NotFound: There is none.
    """
    batch: PayoutBatch | None = await session.scalar(
        db.locking(select(PayoutBatch).where(PayoutBatch.id == batch_id))
    )
    if batch is None:
        raise NotFound("There is no such thing here.")
    return batch


async def move_batch(
    session: AsyncSession, batch: PayoutBatch, to: BatchState, **values: Any
) -> PayoutBatch:
    """Move a batch.

    Raises:
        WrongState: It cannot go there from where it is.
    """
    moved: PayoutBatch | None = await session.scalar(
        update(PayoutBatch)
        .where(PayoutBatch.id == batch.id, PayoutBatch.state.in_(batch_sources(to)))
        .values(state=to, **values)
        .returning(PayoutBatch)
        .execution_options(populate_existing=True)
    )
    if moved is None:
        raise _wrong_state(batch, to)
    return moved


def expect_move(batch: PayoutBatch, to: BatchState) -> None:
    """Refuse early what `move_batch` would refuse, before looking at the items.

    Raises:
        WrongState: It cannot go there from where it is.
    """
    if batch.state not in batch_sources(to):
        raise _wrong_state(batch, to)


def _wrong_state(batch: PayoutBatch, to: BatchState) -> WrongState:
    return WrongState(f"A batch that is {batch.state} cannot become {to}.", state=batch.state)
