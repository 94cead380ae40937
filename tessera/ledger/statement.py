"""Reading the ledger: who got what for which reason, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from tessera.ledger.models import Account, AccountKind, Entry, Event, Transfer


@dataclass(frozen=True)
class Line:
    id: int
    event: Event
    reference: str
    currency: str
    amount_micro: int
    created_at: datetime


async def lines(
    session: AsyncSession,
    kind: AccountKind,
    owner_id: UUID | None,
    *,
    before: int | None,
    limit: int,
) -> Sequence[Line]:
    """Entries of an owner's accounts with an id below `before`, newest first."""
    entry = select(Entry).where(Entry.account_id == Account.id)
    if before is not None:
        entry = entry.where(Entry.id < before)
    # the newest of each account first, so that a page costs the same however long the history
    entries = aliased(Entry, entry.order_by(Entry.id.desc()).limit(limit).lateral())
    newest = (
        select(
            entries.id,
            Transfer.event,
            Transfer.reference,
            entries.reference.label("line_reference"),
            Account.currency,
            entries.amount_micro,
            Transfer.created_at,
        )
        .select_from(Account)
        .join(entries, true())
        .join(Transfer, Transfer.id == entries.transfer_id)
        .where(Account.kind == kind, Account.owner_id.is_not_distinct_from(owner_id))
        .order_by(entries.id.desc())
        .limit(limit)
    )
    return [
        Line(
            row.id,
            row.event,
            row.line_reference or row.reference,
            row.currency,
            row.amount_micro,
            row.created_at,
        )
        for row in await session.execute(newest)
    ]
