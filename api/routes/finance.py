"""The platform's finance: money that arrives, and batches of payouts."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from api import idempotency, problems
from api.deps import After, Caller, Limit, Read, Write
from api.idempotency import NEVER_STORED, KeyRequired, Route
from api.schemas import Currency, Deposited, In, Out, PageOut
from tessera.accounts.roles import Right
from tessera.kernel import paging
from tessera.kernel.errors import Forbidden, NotFound
from tessera.ledger import deposits
from tessera.ledger.deposits import Reversal
from tessera.ledger.errors import (
    AlreadyReversed,
    AmountTooLarge,
    BadReference,
    InsufficientFunds,
    OwnDeposit,
    ReferenceReused,
    UnknownCurrency,
)
from tessera.payouts import batches, sending
from tessera.payouts.errors import BatchChanged, NothingToPay, OwnBatch, WrongState
from tessera.payouts.models import BatchState, Payout, PayoutBatch, PayoutState, Rail

router = APIRouter(prefix="/finance", tags=["finance"], route_class=Route)


async def _depositor(caller: Caller) -> UUID:
    return _platform(caller, Right.DEPOSITS)


async def _payer(caller: Caller) -> UUID:
    return _platform(caller, Right.PAYOUTS)


def _platform(caller: Caller, right: Right) -> UUID:
    if right not in caller.platform_rights:
        raise Forbidden("Only the platform's finance may do this.")
    return caller.person_id


Depositor = Annotated[UUID, Depends(_depositor)]
Payer = Annotated[UUID, Depends(_payer)]


class NewDeposit(In):
    organisation_id: UUID
    amount_micro: Deposited
    currency: Currency
    reference: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """What the bank calls this transfer, in any spelling; a repeat of it is not counted again."""


class DepositOut(Out):
    transfer_id: int


class NewReversal(In):
    amount_micro: Deposited | None = None
    """Without it, all that is left of the deposit."""
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    """For the organisation to read in its statement."""


class ReversalOut(Out):
    transfer_id: int
    organisation_id: UUID
    currency: str
    amount_micro: int
    left_micro: int
    """Of the deposit."""


class NewBatch(In):
    currency: Currency
    disabled: bool = False
    """Gather what people asked for before they were shut out; no other batch has it."""


class BatchOut(Out):
    id: UUID
    currency: str
    rail: Rail
    state: BatchState
    items: int = 0
    """How many there are in it now."""
    total_micro: int = 0
    items_sha256: str
    created_by: UUID
    edited_by: UUID
    approved_by: UUID | None
    created_at: datetime
    approved_at: datetime | None
    submitted_at: datetime | None


class ItemOut(Out):
    id: UUID
    earner_id: UUID
    currency: str
    amount_micro: int
    destination: dict[str, Any]
    state: PayoutState
    rail_reference: str | None
    reason: str | None


class BatchItemOut(ItemOut):
    earner_disabled: bool
    """Whether they were shut out since they asked for it."""


class ItemsOut(Out):
    items: list[BatchItemOut]
    next: UUID | None


class Approval(In):
    items_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    """Of the items you looked at; if they have changed since, nothing is approved."""


class Settlement(In):
    payout_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]
    rail_reference: Annotated[str, StringConstraints(max_length=200)] | None = None


class ReturnedItem(In):
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """For the earner to read."""


@router.post(
    "/deposits",
    status_code=HTTPStatus.CREATED,
    responses=problems.documented(
        NotFound, Forbidden, ReferenceReused, UnknownCurrency, BadReference, AmountTooLarge
    ),
)
async def deposit(body: NewDeposit, session: Write, actor_id: Depositor) -> DepositOut:
    """Record a bank transfer that arrived from an organisation."""
    transfer_id = await deposits.deposit(
        session,
        organisation_id=body.organisation_id,
        amount_micro=body.amount_micro,
        currency=body.currency,
        reference=body.reference,
        actor_id=actor_id,
    )
    return DepositOut(transfer_id=transfer_id)


@router.post(
    "/deposits/{transfer_id}/reversal",
    status_code=HTTPStatus.CREATED,
    response_model=ReversalOut,
    responses=problems.documented(
        NotFound, OwnDeposit, AlreadyReversed, InsufficientFunds, KeyRequired
    ),
)
async def reverse_deposit(
    transfer_id: Annotated[int, Path(gt=0, le=2**63 - 1)],
    body: NewReversal,
    request: Request,
    session: Write,
    actor_id: Depositor,
) -> Reversal:
    """Take back a deposit that somebody else recorded by mistake, or a part of it.

    An amount needs an `Idempotency-Key`: a repeat would take as much again. Who takes everything
    back twice finds nothing left.
    """
    if body.amount_micro is not None and idempotency.HEADER not in request.headers:
        raise KeyRequired("Send an `Idempotency-Key`, so that a repeat does not take more.")
    return await deposits.reverse(
        session,
        transfer_id=transfer_id,
        amount_micro=body.amount_micro,
        reason=body.reason,
        actor_id=actor_id,
    )


@router.post(
    "/payout-batches",
    status_code=HTTPStatus.CREATED,
    responses=problems.documented(Forbidden, NothingToPay),
)
async def create_batch(body: NewBatch, session: Write, actor_id: Payer) -> BatchOut:
    """Gather the payouts that wait in a currency."""
    batch = await batches.create(
        session, currency=body.currency, creator_id=actor_id, disabled=body.disabled
    )
    await session.refresh(batch)
    return await _shown(session, batch)


@router.get("/payout-batches")
async def list_batches(
    session: Read, _actor_id: Payer, after: After, limit: Limit = 50
) -> PageOut[BatchOut]:
    """Batches, newest first."""
    found = await batches.page(session, after=after, limit=limit)
    return PageOut(
        items=await _all_shown(session, found),
        next=paging.cursor(found, limit),
    )


@router.get("/payout-batches/{batch_id}", responses=problems.documented(NotFound, Forbidden))
async def get_batch(batch_id: UUID, session: Read, _actor_id: Payer) -> BatchOut:
    """One batch."""
    return await _shown(session, await batches.get(session, batch_id=batch_id))


@router.get("/payout-batches/{batch_id}/items", responses=problems.documented(NotFound, Forbidden))
async def list_items(
    batch_id: UUID,
    session: Read,
    _actor_id: Payer,
    limit: Limit = 50,
    cursor: Annotated[UUID | None, Query()] = None,
) -> ItemsOut:
    """Who is paid how much by a batch, and what became of it."""
    await batches.get(session, batch_id=batch_id)
    found = await batches.items(session, batch_id=batch_id, after=cursor, limit=limit)
    shut_out = await batches.shut_out(session, found)
    return ItemsOut(
        items=[
            BatchItemOut(
                **ItemOut.model_validate(item).model_dump(), earner_disabled=item.id in shut_out
            )
            for item in found
        ],
        next=found[-1].id if len(found) == limit else None,
    )


@router.delete(
    "/payout-batches/{batch_id}/items/{payout_id}",
    responses=problems.documented(NotFound, Forbidden, WrongState),
)
async def remove_item(
    batch_id: UUID,
    payout_id: UUID,
    session: Write,
    actor_id: Payer,
    *,
    to_balance: Annotated[bool, Query()] = False,
) -> BatchOut:
    """Take an item out of a batch; an approval is void then.

    It waits for another batch or, with `to_balance`, is cancelled: the money is in the earner's
    balance again.
    """
    batch = await batches.remove(
        session,
        batch_id=batch_id,
        payout_id=payout_id,
        editor_id=actor_id,
        to_balance=to_balance,
    )
    return await _shown(session, batch)


@router.post(
    "/payout-batches/{batch_id}/approve",
    responses=problems.documented(NotFound, OwnBatch, BatchChanged, NothingToPay, WrongState),
)
async def approve_batch(
    batch_id: UUID, body: Approval, session: Write, actor_id: Payer
) -> BatchOut:
    """Approve a batch that somebody else made."""
    batch = await batches.approve(
        session, batch_id=batch_id, approver_id=actor_id, items_sha256=body.items_sha256
    )
    return await _shown(session, batch)


@router.post(
    "/payout-batches/{batch_id}/cancel",
    responses=problems.documented(NotFound, Forbidden, WrongState),
)
async def cancel_batch(batch_id: UUID, session: Write, _actor_id: Payer) -> BatchOut:
    """Give a batch up before it is sent; its payouts wait for the next one."""
    return await _shown(session, await batches.cancel(session, batch_id=batch_id))


@router.post(
    "/payout-batches/{batch_id}/export",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {}}, "description": "The file for the bank"},
        **problems.documented(NotFound, Forbidden, BatchChanged, WrongState),
    },
    openapi_extra={NEVER_STORED: True},
)
async def export_batch(batch_id: UUID, session: Write, _actor_id: Payer) -> Response:
    """Take the file for the bank. The first time sends the batch; later, the same bytes."""
    file = await sending.export_file(session, batch_id=batch_id)
    return Response(
        file.content,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file.name}"'},
    )


@router.post(
    "/payout-batches/{batch_id}/settled",
    response_model=list[ItemOut],
    responses=problems.documented(NotFound, Forbidden, WrongState),
)
async def settle_items(
    batch_id: UUID, body: Settlement, session: Write, actor_id: Payer
) -> list[Payout]:
    """Record that the bank has paid items: all of these, or none."""
    return await sending.settle(
        session,
        batch_id=batch_id,
        payout_ids=body.payout_ids,
        actor_id=actor_id,
        rail_reference=body.rail_reference,
    )


@router.post(
    "/payout-batches/{batch_id}/items/{payout_id}/returned",
    response_model=ItemOut,
    responses=problems.documented(NotFound, Forbidden, WrongState),
)
async def return_item(
    batch_id: UUID, payout_id: UUID, body: ReturnedItem, session: Write, actor_id: Payer
) -> Payout:
    """Record that an item came back, even late; the money is the earner's again."""
    return await sending.give_back(
        session,
        batch_id=batch_id,
        payout_id=payout_id,
        reason=body.reason,
        actor_id=actor_id,
    )


async def _shown(session: AsyncSession, batch: PayoutBatch) -> BatchOut:
    (shown,) = await _all_shown(session, [batch])
    return shown


async def _all_shown(session: AsyncSession, found: Sequence[PayoutBatch]) -> list[BatchOut]:
    sums = await batches.sums(session, [batch.id for batch in found])
    shown = []
    for batch in found:
        items, total_micro = sums.get(batch.id, (0, 0))
        added = {"items": items, "total_micro": total_micro}
        shown.append(BatchOut.model_validate(batch).model_copy(update=added))
    return shown
