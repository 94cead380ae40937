"""Money that arrived from outside, and what of it was recorded by mistake."""

import unicodedata
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.models import Organisation
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.ledger import service
from tessera.ledger.currencies import MINOR_DIGITS
from tessera.ledger.errors import (
    AlreadyReversed,
    BadReference,
    InsufficientFunds,
    OwnDeposit,
    UnknownCurrency,
)
from tessera.ledger.models import Account, AccountKind, Entry, Event, Transfer
from tessera.ledger.service import Leg, Reason


@dataclass(frozen=True)
class Reversal:
    transfer_id: int
    organisation_id: UUID
    currency: str
    amount_micro: int
    left_micro: int
    """Of the deposit."""


async def deposit(
    session: AsyncSession,
    *,
    organisation_id: UUID,
    amount_micro: int,
    currency: str,
    reference: str,
    actor_id: UUID,
) -> int:
    """Credit an organisation with a bank transfer; the same reference counts once.

    Returns:
        The ledger transfer's id.

    Raises:
        NotFound: There is no such organisation.
        UnknownCurrency: This Tessera keeps no such money.
        BadReference: The reference is empty, or has characters that nobody sees.
        ReferenceReused: The reference was recorded before, with another amount or for another
            organisation.
    """
    if currency not in MINOR_DIGITS:
        raise UnknownCurrency(f"{currency} is not a currency of this Tessera.")
    if await session.get(Organisation, organisation_id) is None:
        raise NotFound("There is no such organisation.")
    return await service.move(
        session,
        service.OUTSIDE,
        service.organisation(organisation_id),
        amount_micro=amount_micro,
        currency=currency,
        reason=Reason(Event.DEPOSIT, f"deposit:{one_spelling(reference)}", actor_id),
    )


def one_spelling(reference: str) -> str:
    """A bank's reference as it is compared: people type, and banks print, the same one differently.

    Raises:
        BadReference: Nothing is left of it, or it has characters that nobody sees.
    """
    spelled = "".join(unicodedata.normalize("NFKC", reference).upper().split())
    if not spelled or not spelled.isprintable():
        raise BadReference("A bank's reference has characters that can be seen, and no others.")
    return spelled


async def reverse(
    session: AsyncSession,
    *,
    transfer_id: int,
    amount_micro: int | None,
    reason: str,
    actor_id: UUID,
) -> Reversal:
    """Take a wrong deposit back out of the organisation's balance, or a part of it.

    Args:
        transfer_id: As `deposit` returned it.
        amount_micro: None is all that was not taken back before.
        reason: For the organisation to read in its statement.

    Raises:
        NotFound: No deposit has this id.
        OwnDeposit: Who recorded it cannot be who takes it back.
        AlreadyReversed: Less than this is left of it.
        InsufficientFunds: The organisation has reserved it.
    """
    # the lock makes reversals of one deposit queue up: what is left is what the last one left
    recorded: Transfer | None = await session.scalar(
        db.locking(
            select(Transfer).where(Transfer.id == transfer_id, Transfer.event == Event.DEPOSIT)
        )
    )
    if recorded is None:
        raise NotFound("There is no such deposit.")
    if recorded.actor_id == actor_id:
        raise OwnDeposit("Somebody else than who recorded a deposit must take it back.")
    organisation_id, currency, credit = await _credited(session, transfer_id)
    before, taken = await _taken_back(session, credit)
    left = credit.amount_micro - taken
    amount = left if amount_micro is None else amount_micro
    if not 0 < amount <= left:
        raise AlreadyReversed("Less than this is left of the deposit.", left_micro=left)
    money = await service.balances(session, AccountKind.ORGANISATION, organisation_id)
    if amount > money.get(currency, 0):  # if it is reserved at this moment, the ledger refuses
        raise InsufficientFunds(
            "The organisation has reserved too much of it.",
            needed_micro=amount,
            available_micro=money.get(currency, 0),
            currency=currency,
        )
    reference = f"reversal:{transfer_id}:{before + 1}"
    legs = [
        Leg(service.organisation(organisation_id), -amount, f"{reference}: {reason}"),
        Leg(service.OUTSIDE, amount),
    ]
    why = Reason(Event.DEPOSIT_REVERSED, reference, actor_id)
    return Reversal(
        transfer_id=await service.post(session, legs, currency=currency, reason=why),
        organisation_id=organisation_id,
        currency=currency,
        amount_micro=amount,
        left_micro=left - amount,
    )


async def _credited(session: AsyncSession, transfer_id: int) -> tuple[UUID, str, Entry]:
    """Who got a deposit, in what, and by which entry."""
    row = await session.execute(
        select(Organisation.id, Account.currency, Entry)
        .join(Account, Account.owner_id == Organisation.id)
        .join(Entry, Entry.account_id == Account.id)
        .where(Entry.transfer_id == transfer_id)
    )
    organisation_id, currency, credit = row.one()
    return organisation_id, currency, credit


async def _taken_back(session: AsyncSession, credit: Entry) -> tuple[int, int]:
    """How often something was taken back of a deposit, and how much in all."""
    row = await session.execute(
        select(func.count(), func.coalesce(-func.sum(Entry.amount_micro), 0))
        .join(Transfer, Transfer.id == Entry.transfer_id)
        .where(
            Entry.account_id == credit.account_id,
            Entry.id > credit.id,
            Transfer.reference.startswith(f"reversal:{credit.transfer_id}:"),
        )
    )
    times, micro = row.one()
    return times, int(micro)
