"""What an earner has earned, and getting it paid."""

from collections import Counter
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from api import idempotency, problems
from api.deps import After, EarnerId, Limit, Read, Settings, Write
from api.idempotency import KeyRequired, Route
from api.schemas import Currency, In, Micro, Out, PageOut
from tessera.assignment import offers
from tessera.earnings import service as earnings
from tessera.earnings.models import EarningState
from tessera.kernel import paging
from tessera.kernel.errors import NotFound
from tessera.ledger import service as ledger
from tessera.ledger.errors import InsufficientFunds
from tessera.ledger.models import AccountKind
from tessera.payouts import service as payouts
from tessera.payouts.errors import BadDestination, BelowMinimum, NoDestination, WrongState
from tessera.payouts.models import Destination, Payout, PayoutState, Rail

router = APIRouter(tags=["earnings"], route_class=Route)


class EarningOut(Out):
    lease_id: UUID
    project_id: UUID
    currency: str
    amount_micro: int
    state: EarningState
    reason_code: str | None
    reason: str | None
    created_at: datetime
    decided_at: datetime | None


class BalanceOut(Out):
    reserved_micro: dict[str, int]
    """What the tasks you hold right now are worth, by currency: it is set aside until you answer
    them or their leases end."""
    available_micro: dict[str, int]
    """What you can have paid out, by currency."""
    in_transit_micro: dict[str, int]
    """What is on its way to you."""
    earned_micro: dict[str, dict[EarningState, int]]
    """All your answers, by currency and by what became of them."""


class NewDestination(In):
    rail: Annotated[str, Field(max_length=50)]
    details: dict[str, Any]


class DestinationOut(Out):
    rail: Rail
    details: dict[str, Any]
    changed_at: datetime


class NewPayout(In):
    currency: Currency
    amount_micro: Micro | None = None
    """Without it, everything that can be paid."""


class PayoutOut(Out):
    id: UUID
    currency: str
    amount_micro: int
    rail: Rail
    destination: dict[str, Any]
    state: PayoutState
    reason: str | None
    created_at: datetime
    settled_at: datetime | None
    returned_at: datetime | None


@router.get("/earnings")
async def statement(
    session: Read, earner_id: EarnerId, settings: Settings, after: After, limit: Limit = 50
) -> PageOut[EarningOut]:
    """What each of your answers earned, or why it did not, newest first."""
    found = await earnings.statement(session, earner_id=earner_id, after=after, limit=limit)
    full = len(found) == limit
    return PageOut(
        items=[_told(EarningOut.model_validate(each), settings) for each in found],
        next=paging.encode((found[-1].created_at, found[-1].lease_id)) if full else None,
    )


@router.get("/earnings/balance")
async def balance(session: Read, earner_id: EarnerId, settings: Settings) -> BalanceOut:
    """Your money at a glance."""
    return BalanceOut(
        reserved_micro=await offers.promised(session, earner_id=earner_id),
        available_micro=await ledger.balances(session, AccountKind.EARNER, earner_id),
        in_transit_micro=await ledger.balances(session, AccountKind.IN_TRANSIT, earner_id),
        earned_micro={
            currency: _told_totals(states, settings)
            for currency, states in (await earnings.totals(session, earner_id=earner_id)).items()
        },
    )


def _told_totals(by_state: dict[EarningState, int], settings: Settings) -> dict[EarningState, int]:
    if not settings.decisions_every or EarningState.APPROVED not in by_state:
        return by_state
    told = Counter(by_state)
    told[EarningState.PENDING] += told.pop(EarningState.APPROVED)
    return dict(told)


def _told(earning: EarningOut, settings: Settings) -> EarningOut:
    """As far as the earner hears of it by now; see `Settings.decisions_every`."""
    every = settings.decisions_every
    if every and earning.state is EarningState.APPROVED:
        return earning.model_copy(update={"state": EarningState.PENDING, "decided_at": None})
    if earning.decided_at is None or earning.state is EarningState.REJECTED:
        return earning
    return earning.model_copy(update={"decided_at": earnings.told_at(earning.decided_at, every)})


@router.put(
    "/payout-destination",
    response_model=DestinationOut,
    responses=problems.documented(BadDestination),
)
async def set_destination(body: NewDestination, session: Write, earner_id: EarnerId) -> Destination:
    """Say where you want to be paid. Payouts already asked for go where they were to go."""
    return await payouts.set_destination(
        session, earner_id=earner_id, rail=body.rail, details=body.details
    )


@router.get(
    "/payout-destination",
    response_model=DestinationOut,
    responses=problems.documented(NoDestination),
)
async def destination(session: Read, earner_id: EarnerId) -> Destination:
    """Where you are paid."""
    return await payouts.destination(session, earner_id=earner_id)


@router.post(
    "/payouts",
    status_code=HTTPStatus.CREATED,
    response_model=PayoutOut,
    responses=problems.documented(NoDestination, BelowMinimum, InsufficientFunds, KeyRequired),
)
async def request_payout(
    body: NewPayout, request: Request, session: Write, earner_id: EarnerId
) -> Payout:
    """Ask to be paid.

    An amount needs an `Idempotency-Key`: a repeat would find it again. Who asks for everything
    twice finds nothing left.
    """
    if body.amount_micro is not None and idempotency.HEADER not in request.headers:
        raise KeyRequired("Send an `Idempotency-Key`, so that a repeat does not pay you twice.")
    payout = await payouts.request(
        session, earner_id=earner_id, currency=body.currency, amount_micro=body.amount_micro
    )
    await session.refresh(payout)
    return payout


@router.get("/payouts")
async def list_payouts(
    session: Read, earner_id: EarnerId, after: After, limit: Limit = 50
) -> PageOut[PayoutOut]:
    """Your payouts, newest first."""
    found = await payouts.mine(session, earner_id=earner_id, after=after, limit=limit)
    return PageOut(
        items=[PayoutOut.model_validate(payout) for payout in found],
        next=paging.cursor(found, limit),
    )


@router.post(
    "/payouts/{payout_id}/cancel",
    response_model=PayoutOut,
    responses=problems.documented(NotFound, WrongState),
)
async def cancel_payout(payout_id: UUID, session: Write, earner_id: EarnerId) -> Payout:
    """Take a payout back while nobody is working on it."""
    return await payouts.cancel(session, payout_id=payout_id, earner_id=earner_id)
