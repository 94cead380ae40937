"""What an earner does about payouts: say where to, ask, change their mind, look."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.kernel import db
from tessera.kernel.paging import After
from tessera.ledger import service as ledger
from tessera.ledger.currencies import MICRO, MINOR_DIGITS, minor_micro
from tessera.ledger.errors import InsufficientFunds, UnknownCurrency
from tessera.ledger.models import AccountKind, Event
from tessera.ledger.service import Reason
from tessera.payouts import destinations
from tessera.payouts.errors import BelowMinimum, NoDestination, NotPayable
from tessera.payouts.models import Destination, Payout, PayoutState
from tessera.payouts.moves import move_payout

MINIMUM_MICRO = MICRO
"""Least that is paid out, in any currency."""


async def set_destination(
    session: AsyncSession, *, earner_id: UUID, rail: str, details: dict[str, Any]
) -> Destination:
    """Say where to be paid from now on; payouts asked for before go where they were to go.

    Raises:
        BadDestination: Money could not be sent there.
    """
    rail, details = destinations.parse(rail, details)
    new = insert(Destination).values(earner_id=earner_id, rail=rail, details=details)
    stored = await session.scalars(
        new.on_conflict_do_update(
            index_elements=[Destination.earner_id],
            set_={"rail": rail, "details": details, "changed_at": func.now()},
        ).returning(Destination),
        execution_options={"populate_existing": True},
    )
    return stored.one()


async def destination(session: AsyncSession, *, earner_id: UUID) -> Destination:
    """Where an earner is paid.

    Raises:
        NoDestination: They have not said.
    """
    return _said(await session.get(Destination, earner_id))


async def request(
    session: AsyncSession, *, earner_id: UUID, currency: str, amount_micro: int | None
) -> Payout:
    """Take money out of an earner's balance, on its way to where they said.

    Args:
        amount_micro: None is everything that can be paid; what is smaller than the currency's
            smallest unit stays in the balance.

    Raises:
        NoDestination: They have not said where to.
        UnknownCurrency: This Tessera keeps no such money.
        BelowMinimum: It is less than is paid out.
        NotPayable: It is not a whole number of the currency's smallest unit.
        InsufficientFunds: It is more than they have.
    """
    # the lock makes one earner's requests queue up: "everything" is what the last one left
    to = _said(
        await session.scalar(
            db.locking(select(Destination).where(Destination.earner_id == earner_id))
        )
    )
    balances = await ledger.balances(session, AccountKind.EARNER, earner_id)
    amount = _amount(amount_micro, balances.get(currency, 0), currency)
    payout = Payout(
        earner_id=earner_id,
        currency=currency,
        amount_micro=amount,
        rail=to.rail,
        destination=to.details,
    )
    session.add(payout)
    await session.flush()
    await ledger.move(
        session,
        ledger.earner(earner_id),
        ledger.in_transit(earner_id),
        amount_micro=amount,
        currency=currency,
        reason=Reason(Event.PAYOUT_REQUESTED, f"payout:{payout.id}:requested", earner_id),
    )
    return payout


async def cancel(
    session: AsyncSession, *, payout_id: UUID, earner_id: UUID, actor_id: UUID | None = None
) -> Payout:
    """Take a request back, as long as it is in no batch.

    Args:
        actor_id: Who does it, if it is not the earner.

    Raises:
        NotFound: There is none, or it is somebody else's.
        WrongState: It is too late.
    """
    payout = await move_payout(
        session,
        PayoutState.CANCELLED,
        Payout.id == payout_id,
        Payout.earner_id == earner_id,
    )
    await ledger.move(
        session,
        ledger.in_transit(earner_id),
        ledger.earner(earner_id),
        amount_micro=payout.amount_micro,
        currency=payout.currency,
        reason=Reason(
            Event.PAYOUT_CANCELLED, f"payout:{payout.id}:cancelled", actor_id or earner_id
        ),
    )
    return payout


async def mine(
    session: AsyncSession, *, earner_id: UUID, after: After | None, limit: int
) -> Sequence[Payout]:
    """An earner's payouts, newest first."""
    theirs = select(Payout).where(Payout.earner_id == earner_id)
    if after is not None:
        theirs = theirs.where(tuple_(Payout.created_at, Payout.id) < after)
    newest = theirs.order_by(Payout.created_at.desc(), Payout.id.desc()).limit(limit)
    return (await session.scalars(newest)).all()


def _said(destination: Destination | None) -> Destination:
    if destination is None:
        raise NoDestination("Say first where you want to be paid.")
    return destination


def _amount(wanted: int | None, balance: int, currency: str) -> int:
    if currency not in MINOR_DIGITS:
        raise UnknownCurrency(f"{currency} is not a currency of this Tessera.")
    step = minor_micro(currency)
    amount = balance - balance % step if wanted is None else wanted
    if amount < MINIMUM_MICRO:
        raise BelowMinimum(
            "This is less than is paid out.",
            amount_micro=amount,
            minimum_micro=MINIMUM_MICRO,
            currency=currency,
        )
    if amount % step:
        raise NotPayable(
            "This is not a whole number of the currency's smallest unit.", step_micro=step
        )
    if amount > balance:
        raise InsufficientFunds(
            "There is less than this in the balance.",
            amount_micro=amount,
            available_micro=balance,
            currency=currency,
        )
    return amount
