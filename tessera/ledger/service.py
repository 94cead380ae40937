"""The one module that moves money.

Every movement is a transfer with a reference that says why; posting the same reference again
changes nothing, so whatever retries, nothing is paid twice.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, String, Uuid, column, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.kernel import db
from tessera.ledger.errors import AmountTooLarge, InsufficientFunds, ReferenceReused
from tessera.ledger.models import Account, AccountKind, Entry, Event, Transfer

MAX_MICRO = 2**63 - 1
_OUT_OF_RANGE = "22003"


@dataclass(frozen=True)
class Purse:
    """Names an account: whose, and what for. The account is opened when first used."""

    kind: AccountKind
    owner_id: UUID | None = None


@dataclass(frozen=True)
class Reason:
    """Why money moves. The reference is unique for ever: the same reason moves money once."""

    event: Event
    reference: str
    actor_id: UUID | None = None


@dataclass(frozen=True)
class Leg:
    """One line of a transfer: into the purse if positive, out of it if negative."""

    purse: Purse
    amount_micro: int
    reference: str | None = None


OUTSIDE = Purse(AccountKind.OUTSIDE)
FEES = Purse(AccountKind.FEES)


def organisation(organisation_id: UUID) -> Purse:
    return Purse(AccountKind.ORGANISATION, organisation_id)


def escrow(project_id: UUID) -> Purse:
    return Purse(AccountKind.ESCROW, project_id)


def earner(earner_id: UUID) -> Purse:
    return Purse(AccountKind.EARNER, earner_id)


def in_transit(earner_id: UUID) -> Purse:
    return Purse(AccountKind.IN_TRANSIT, earner_id)


async def move(
    session: AsyncSession,
    source: Purse,
    target: Purse,
    *,
    amount_micro: int,
    currency: str,
    reason: Reason,
) -> int:
    """Move an amount between two purses; see `post`."""
    if amount_micro <= 0:
        raise ValueError("money moves forwards")
    legs = [Leg(source, -amount_micro), Leg(target, amount_micro)]
    return await post(session, legs, currency=currency, reason=reason)


async def post(session: AsyncSession, legs: Sequence[Leg], *, currency: str, reason: Reason) -> int:
    """Write one balanced transfer. The database brings the cached balances along.

    Returns:
        The transfer's id; that of the first posting if the reference was posted before.

    Raises:
        InsufficientFunds: A balance would fall below zero; the caller's transaction is lost.
        ReferenceReused: The reference was posted before with other lines, or a line's reference
            was posted before; in the second case the caller's transaction is lost.
        AmountTooLarge: More than an account can hold.
        ValueError: The legs do not make a transfer.
    """
    if len(legs) < 2 or sum(leg.amount_micro for leg in legs) != 0:  # noqa: PLR2004
        raise ValueError("a transfer has at least two legs, and they sum to zero")
    if any(abs(leg.amount_micro) > MAX_MICRO for leg in legs):
        raise _too_large()
    accounts = await _accounts(session, {leg.purse for leg in legs}, currency)
    transfer_id: int | None = await session.scalar(
        insert(Transfer)
        .values(reference=reason.reference, event=reason.event, actor_id=reason.actor_id)
        .on_conflict_do_nothing(index_elements=[Transfer.reference])
        .returning(Transfer.id)
    )
    if transfer_id is None:
        return await _same_as_before(session, legs, accounts, reason.reference)
    try:
        await _write(session, transfer_id, legs, accounts)
    except DBAPIError as error:
        if refusal := _in_our_words(error, reason.reference):
            raise refusal from error
        raise
    return transfer_id


async def balances(
    session: AsyncSession, kind: AccountKind, owner_id: UUID | None
) -> dict[str, int]:
    """Balance in micro-units by currency."""
    rows = await session.execute(
        select(Account.currency, Account.balance_micro)
        .where(Account.kind == kind, Account.owner_id.is_not_distinct_from(owner_id))
        .order_by(Account.currency)
    )
    return dict(rows.all())


async def _accounts(session: AsyncSession, purses: set[Purse], currency: str) -> dict[Purse, UUID]:
    """Open what is missing, then lock all.

    In the order of their ids, so that two transfers over the same accounts queue up instead of
    deadlocking.
    """
    found = await _find(session, purses, currency)
    if missing := sorted(purses - found.keys(), key=str):
        await session.execute(
            insert(Account)
            .values(
                [{"kind": p.kind, "owner_id": p.owner_id, "currency": currency} for p in missing]
            )
            .on_conflict_do_nothing()
        )
        found = await _find(session, purses, currency)
    await session.execute(
        db.locking(select(Account.id).where(Account.id.in_(found.values())).order_by(Account.id))
    )
    return found


async def _find(session: AsyncSession, purses: set[Purse], currency: str) -> dict[Purse, UUID]:
    owners = {purse.owner_id for purse in purses}
    rows = await session.execute(
        select(Account.kind, Account.owner_id, Account.id).where(
            Account.currency == currency,
            Account.kind.in_({purse.kind for purse in purses}),
            Account.owner_id.in_(owners - {None}) | Account.owner_id.is_(None),
        )
    )
    known = {Purse(kind, owner_id): id_ for kind, owner_id, id_ in rows}
    return {purse: known[purse] for purse in purses if purse in known}


async def _write(
    session: AsyncSession, transfer_id: int, legs: Sequence[Leg], accounts: dict[Purse, UUID]
) -> None:
    """All lines in one INSERT, as the database demands; arrays, so that there is no limit."""
    columns = (
        column("account_id", Uuid),
        column("amount_micro", BigInteger),
        column("reference", String),
    )
    lines = (
        func.unnest(
            literal([accounts[leg.purse] for leg in legs], ARRAY(Uuid)),
            literal([leg.amount_micro for leg in legs], ARRAY(BigInteger)),
            literal([leg.reference for leg in legs], ARRAY(String)),
        )
        .table_valued(*columns)
        .render_derived()
    )
    await session.execute(
        insert(Entry).from_select(
            [Entry.transfer_id, Entry.account_id, Entry.amount_micro, Entry.reference],
            select(literal(transfer_id, BigInteger), *lines.c),
        )
    )


def _in_our_words(error: DBAPIError, reference: str) -> Exception | None:
    if getattr(error.orig, "sqlstate", None) == _OUT_OF_RANGE:
        return _too_large()
    if "ck_ledger_accounts_floor" in str(error.orig):
        return InsufficientFunds("There is not enough money for this.", reference=reference)
    if "uq_ledger_entries_reference" in str(error.orig):
        return _reused(reference)
    return None


def _too_large() -> AmountTooLarge:
    return AmountTooLarge("This is more money than an account can hold.", max_micro=MAX_MICRO)


def _reused(reference: str) -> ReferenceReused:
    return ReferenceReused(
        "Money has already moved for this reference, but not this money.", reference=reference
    )


async def _same_as_before(
    session: AsyncSession, legs: Sequence[Leg], accounts: dict[Purse, UUID], reference: str
) -> int:
    rows = await session.execute(
        select(Transfer.id, Entry.account_id, Entry.amount_micro, Entry.reference)
        .join(Entry, Entry.transfer_id == Transfer.id)
        .where(Transfer.reference == reference)
    )
    before = rows.all()
    wanted = Counter((accounts[leg.purse], leg.amount_micro, leg.reference) for leg in legs)
    if Counter(line[1:] for line in before) != wanted:
        raise _reused(reference)
    return before[0][0]
