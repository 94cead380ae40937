"""Short words for moving money in tests."""

import asyncio
from collections.abc import Awaitable, Iterable
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from tessera.kernel import db
from tessera.ledger import service as ledger
from tessera.ledger.models import AccountKind, Event
from tessera.ledger.service import OUTSIDE, Purse, Reason


def because(reference: str | None = None) -> Reason:
    return Reason(Event.DEPOSIT, reference or f"test:{uuid4()}")


async def move(
    sessions: db.Sessions,
    source: Purse,
    target: Purse,
    amount_micro: int,
    *,
    reference: str | None = None,
    currency: str = "EUR",
) -> int:
    async with db.transaction(sessions) as session:
        return await ledger.move(
            session,
            source,
            target,
            amount_micro=amount_micro,
            currency=currency,
            reason=because(reference),
        )


async def an_earner(sessions: db.Sessions, *, has: int = 0, currency: str = "EUR") -> UUID:
    """Somebody with a balance; the ledger does not ask who they are."""
    earner_id = uuid4()
    if has:
        await move(sessions, OUTSIDE, ledger.earner(earner_id), has, currency=currency)
    return earner_id


async def balance(session: AsyncSession, purse: Purse, currency: str = "EUR") -> int:
    return (await ledger.balances(session, purse.kind, purse.owner_id)).get(currency, 0)


async def balances(sessions: db.Sessions, earner_id: UUID, currency: str = "EUR") -> list[int]:
    """What an earner may withdraw, and what is in transit."""
    async with db.reading(sessions) as session:
        kinds = (AccountKind.EARNER, AccountKind.IN_TRANSIT)
        return [await balance(session, Purse(kind, earner_id), currency) for kind in kinds]


async def at_once(calls: Iterable[Awaitable[object]]) -> list[BaseException]:
    """Run all together; returns what went wrong."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    return [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
