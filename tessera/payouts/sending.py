"""Money leaves by the manual rail, and sometimes comes back."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.kernel.errors import NotFound
from tessera.ledger import service as ledger
from tessera.ledger.models import Event
from tessera.ledger.service import OUTSIDE, Leg, Reason
from tessera.payouts import manual
from tessera.payouts.batches import pinned_items
from tessera.payouts.errors import WrongState
from tessera.payouts.models import BatchState, Payout, PayoutBatch, PayoutState
from tessera.payouts.moves import expect_move, locked_batch, move_batch, move_payout, move_payouts


@dataclass(frozen=True)
class ExportFile:
    name: str
    content: bytes
    items: int
    total_micro: int


async def export_file(session: AsyncSession, *, batch_id: UUID) -> ExportFile:
    """The file for the bank. Taking it the first time is sending it.

    Taken again it has the same bytes, so a lost download costs nothing.

    Raises:
        BatchChanged: The items are not those that were approved.
        WrongState: It was not approved, or cancelled.
    """
    batch = await locked_batch(session, batch_id)
    first = batch.state not in {BatchState.SUBMITTED, BatchState.CLOSED}
    if first:
        expect_move(batch, BatchState.SUBMITTED)
    items = await pinned_items(session, batch)
    if first:
        await move_batch(session, batch, BatchState.SUBMITTED, submitted_at=func.now())
        await move_payouts(session, PayoutState.SENT, Payout.batch_id == batch_id)
    return ExportFile(
        name=f"payouts-{batch.currency}-{batch_id}.csv",
        content=manual.to_csv(batch_id, items),
        items=len(items),
        total_micro=sum(item.amount_micro for item in items),
    )


async def settle(
    session: AsyncSession,
    *,
    batch_id: UUID,
    payout_ids: Collection[UUID],
    actor_id: UUID,
    rail_reference: str | None = None,
) -> list[Payout]:
    """Record that the bank has paid some items: all of them, or none is recorded.

    What was settled before stays as it is.

    Returns:
        The items named, in the order of their ids.

    Raises:
        NotFound: One is not in this batch.
        WrongState: One was never sent, or came back.
    """
    batch = await locked_batch(session, batch_id)
    which = Payout.batch_id == batch_id, Payout.id.in_(payout_ids)
    settled = await move_payouts(
        session,
        PayoutState.SETTLED,
        *which,
        settled_at=func.now(),
        rail_reference=rail_reference,
    )
    named = (await session.scalars(select(Payout).where(*which).order_by(Payout.id))).all()
    if len(named) < len(set(payout_ids)):
        raise NotFound("One of these payouts is not in this batch.")
    for payout in named:
        if payout.state is not PayoutState.SETTLED:
            raise _not_settled(payout)
    if settled:
        await _leave(session, batch, settled, actor_id)
        await _close_if_decided(session, batch)
    return list(named)


async def give_back(
    session: AsyncSession, *, batch_id: UUID, payout_id: UUID, reason: str, actor_id: UUID
) -> Payout:
    """Record that the bank could not pay an item, or that it came back, however late.

    Raises:
        NotFound: It is not in this batch.
        WrongState: It was never sent, or came back before.
    """
    batch = await locked_batch(session, batch_id)
    here = Payout.id == payout_id, Payout.batch_id == batch_id
    payout = await move_payout(
        session, PayoutState.RETURNED, *here, reason=reason, returned_at=func.now()
    )
    late = payout.settled_at is not None
    await ledger.move(
        session,
        OUTSIDE if late else ledger.in_transit(payout.earner_id),
        ledger.earner(payout.earner_id),
        amount_micro=payout.amount_micro,
        currency=payout.currency,
        reason=Reason(Event.PAYOUT_RETURNED, f"payout:{payout.id}:returned", actor_id),
    )
    await _close_if_decided(session, batch)
    return payout


async def _leave(
    session: AsyncSession, batch: PayoutBatch, settled: Collection[Payout], actor_id: UUID
) -> None:
    """One transfer, as the bank makes one debit; each line's reference settles a payout once."""
    legs = [
        Leg(ledger.in_transit(p.earner_id), -p.amount_micro, f"payout:{p.id}:settled")
        for p in settled
    ]
    total = sum(payout.amount_micro for payout in settled)
    first = min(payout.id for payout in settled)
    await ledger.post(
        session,
        [*legs, Leg(OUTSIDE, total)],
        currency=batch.currency,
        reason=Reason(Event.PAYOUT_SETTLED, f"batch:{batch.id}:settled:{first}", actor_id),
    )


async def _close_if_decided(session: AsyncSession, batch: PayoutBatch) -> None:
    if batch.state is not BatchState.SUBMITTED:  # closed long ago: a late return
        return
    undecided = exists().where(Payout.batch_id == batch.id, Payout.state == PayoutState.SENT)
    if not await session.scalar(select(undecided)):
        await move_batch(session, batch, BatchState.CLOSED)


def _not_settled(payout: Payout) -> WrongState:
    return WrongState(
        f"A payout that is {payout.state} cannot become {PayoutState.SETTLED}.",
        state=payout.state,
        payout_id=str(payout.id),
    )
