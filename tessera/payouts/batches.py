"""What finance does before money leaves: gather requests, look, approve with four eyes.

The hash of the items ties what was looked at to what is approved, and that to what is sent.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.models import Person
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.kernel.paging import After
from tessera.payouts import service
from tessera.payouts.errors import BatchChanged, NothingToPay, OwnBatch
from tessera.payouts.items import Item, items_sha256
from tessera.payouts.models import BatchState, Payout, PayoutBatch, PayoutState, Rail
from tessera.payouts.moves import expect_move, locked_batch, move_batch, move_payout, move_payouts

_SHUT_OUT = exists().where(Person.id == Payout.earner_id, Person.disabled_at.is_not(None))


async def create(
    session: AsyncSession,
    *,
    currency: str,
    creator_id: UUID,
    disabled: bool = False,
    limit: int = 500,
) -> PayoutBatch:
    """Gather what waits in a currency, oldest first.

    Args:
        disabled: Gather what people asked for who were shut out since, instead of all the rest:
            it is theirs, but where it goes may be why they were shut out, so nobody pays it
            without meaning to.

    Raises:
        NothingToPay: Nothing waits, or somebody else is gathering it right now.
    """
    oldest = (
        select(Payout)
        .where(
            Payout.currency == currency,
            Payout.rail == Rail.MANUAL,
            Payout.state == PayoutState.REQUESTED,
            _SHUT_OUT if disabled else ~_SHUT_OUT,
        )
        .order_by(Payout.created_at, Payout.id)
        .limit(limit)
    )
    waiting = (await session.scalars(db.locking(oldest, skip_locked=True))).all()
    if not waiting:
        raise NothingToPay("No payout in this currency waits.", currency=currency)
    batch = PayoutBatch(
        currency=currency,
        rail=Rail.MANUAL,
        items_sha256=items_sha256(map(as_item, waiting)),
        created_by=creator_id,
        edited_by=creator_id,
    )
    session.add(batch)
    await session.flush()
    ids = [payout.id for payout in waiting]
    await move_payouts(session, PayoutState.BATCHED, Payout.id.in_(ids), batch_id=batch.id)
    return batch


async def get(session: AsyncSession, *, batch_id: UUID) -> PayoutBatch:
    """One batch.

    Raises:
        NotFound: There is none.
    """
    batch = await session.get(PayoutBatch, batch_id)
    if batch is None:
        raise NotFound("There is no such thing here.")
    return batch


async def page(session: AsyncSession, *, after: After | None, limit: int) -> Sequence[PayoutBatch]:
    """Batches, newest first."""
    newest = select(PayoutBatch)
    if after is not None:
        newest = newest.where(tuple_(PayoutBatch.created_at, PayoutBatch.id) < after)
    newest = newest.order_by(PayoutBatch.created_at.desc(), PayoutBatch.id.desc()).limit(limit)
    return (await session.scalars(newest)).all()


async def sums(session: AsyncSession, batch_ids: Collection[UUID]) -> dict[UUID, tuple[int, int]]:
    """How many items each batch has, and their micro-units in all; of those that have any."""
    rows = await session.execute(
        select(Payout.batch_id, func.count(), func.sum(Payout.amount_micro))
        .where(Payout.batch_id.in_(batch_ids))
        .group_by(Payout.batch_id)
    )
    return {batch_id: (count, int(micro)) for batch_id, count, micro in rows if batch_id}


async def items(
    session: AsyncSession, *, batch_id: UUID, after: UUID | None, limit: int
) -> Sequence[Payout]:
    """Payouts of a batch, by id."""
    theirs = select(Payout).where(Payout.batch_id == batch_id)
    if after is not None:
        theirs = theirs.where(Payout.id > after)
    return (await session.scalars(theirs.order_by(Payout.id).limit(limit))).all()


async def shut_out(session: AsyncSession, found: Sequence[Payout]) -> Collection[UUID]:
    """Of some payouts those whose earner was shut out since."""
    theirs = select(Payout.id).where(Payout.id.in_([each.id for each in found]), _SHUT_OUT)
    return set(await session.scalars(theirs))


async def approve(
    session: AsyncSession, *, batch_id: UUID, approver_id: UUID, items_sha256: str
) -> PayoutBatch:
    """Agree that exactly these items are paid.

    Args:
        items_sha256: The hash that the approver was shown with the items.

    Raises:
        OwnBatch: The approver made the batch, or was the last to change it.
        BatchChanged: The items are not those that the approver was shown.
        NothingToPay: Nothing is left in it.
        WrongState: It is no draft.
    """
    batch = await locked_batch(session, batch_id)
    expect_move(batch, BatchState.APPROVED)
    if approver_id in {batch.created_by, batch.edited_by}:
        raise OwnBatch("Somebody else than who made or changed a batch must approve it.")
    pinned = await pinned_items(session, batch)
    if items_sha256 != batch.items_sha256:
        raise _changed(batch)
    if not pinned:
        raise NothingToPay("Nothing is left in this batch.")
    return await move_batch(
        session,
        batch,
        BatchState.APPROVED,
        approved_by=approver_id,
        approved_at=func.now(),
    )


async def remove(
    session: AsyncSession,
    *,
    batch_id: UUID,
    payout_id: UUID,
    editor_id: UUID,
    to_balance: bool = False,
) -> PayoutBatch:
    """Take an item out again; it waits for another batch, and an approval is void.

    Args:
        to_balance: It does not wait: it is cancelled, and the money in the earner's balance again.

    Raises:
        NotFound: There is no such item in this batch.
        WrongState: The batch was sent.
    """
    batch = await locked_batch(session, batch_id)
    here = Payout.id == payout_id, Payout.batch_id == batch_id
    payout = await move_payout(session, PayoutState.REQUESTED, *here, batch_id=None)
    if to_balance:
        await service.cancel(
            session, payout_id=payout_id, earner_id=payout.earner_id, actor_id=editor_id
        )
    return await move_batch(
        session,
        batch,
        BatchState.DRAFT,
        items_sha256=items_sha256(await _items(session, batch)),
        edited_by=editor_id,
        approved_by=None,
        approved_at=None,
    )


async def cancel(session: AsyncSession, *, batch_id: UUID) -> PayoutBatch:
    """Undo a batch that was not sent; its items wait for another one.

    Raises:
        WrongState: It was sent.
    """
    batch = await move_batch(session, await locked_batch(session, batch_id), BatchState.CANCELLED)
    await move_payouts(session, PayoutState.REQUESTED, Payout.batch_id == batch_id, batch_id=None)
    return batch


async def pinned_items(session: AsyncSession, batch: PayoutBatch) -> list[Item]:
    """The items of a locked batch.

    Raises:
        BatchChanged: They are not those that its hash was taken of.
    """
    found = await _items(session, batch)
    if items_sha256(found) != batch.items_sha256:
        raise _changed(batch)
    return found


def as_item(payout: Payout) -> Item:
    return Item(
        id=payout.id,
        earner_id=payout.earner_id,
        currency=payout.currency,
        amount_micro=payout.amount_micro,
        rail=payout.rail,
        destination=payout.destination,
    )


async def _items(session: AsyncSession, batch: PayoutBatch) -> list[Item]:
    theirs = select(Payout).where(Payout.batch_id == batch.id)
    fresh = await session.scalars(theirs, execution_options={"populate_existing": True})
    return [as_item(payout) for payout in fresh]


def _changed(batch: PayoutBatch) -> BatchChanged:
    return BatchChanged(
        "The items of this batch have changed; look at them again.",
        items_sha256=batch.items_sha256,
    )
