"""Double-entry bookkeeping: accounts, transfers, and the entries that are the truth.

The database, not this code, has the last word (migration `ledger_rules`): the entries of a
transfer are written by one INSERT, sum to zero per currency at commit, and bring the cached
balances along; nothing else changes a balance, nothing is ever updated or deleted, and no balance
but the outside world's falls below zero.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base, Entity


class AccountKind(StrEnum):
    OUTSIDE = "outside"
    """The rest of the world: deposits come from it, payouts go to it. The only one below zero."""
    ORGANISATION = "organisation"
    """What an organisation may still spend."""
    ESCROW = "escrow"
    """What a project has reserved for its worst case."""
    EARNER = "earner"
    """What an earner may withdraw."""
    IN_TRANSIT = "in_transit"
    """What an earner has asked to be paid, until the rail confirms or returns it."""
    FEES = "fees"
    """What the platform has earned."""


class Event(StrEnum):
    DEPOSIT = "deposit"
    DEPOSIT_REVERSED = "deposit_reversed"
    RESERVE = "reserve"
    RELEASE = "release"
    EARN = "earn"
    PAYOUT_REQUESTED = "payout_requested"
    PAYOUT_CANCELLED = "payout_cancelled"
    PAYOUT_SETTLED = "payout_settled"
    PAYOUT_RETURNED = "payout_returned"


class Account(Entity):
    __tablename__ = "ledger_accounts"
    __table_args__ = (
        UniqueConstraint("kind", "owner_id", "currency", postgresql_nulls_not_distinct=True),
        CheckConstraint("kind = 'outside' OR balance_micro >= 0", name="floor"),
        CheckConstraint("(owner_id IS NULL) = (kind IN ('outside', 'fees'))", name="owned"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_is_a_code"),
    )

    kind: Mapped[AccountKind]
    owner_id: Mapped[UUID | None]
    """The organisation, project or earner; none for `outside` and `fees`."""
    currency: Mapped[str]
    balance_micro: Mapped[int] = mapped_column(default=0)
    """Cached sum of the entries. Written by the database alone, when entries are."""


class Transfer(Base):
    __tablename__ = "ledger_transfers"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    """Why this money moved; moving it a second time for the same reason is impossible."""
    event: Mapped[Event]
    actor_id: Mapped[UUID | None]
    """The person who caused it; none for what the system does by itself."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Entry(Base):
    __tablename__ = "ledger_entries"
    __table_args__ = (
        Index("ix_ledger_entries_statement", "account_id", "id"),
        CheckConstraint("amount_micro <> 0", name="amount_not_zero"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    transfer_id: Mapped[int] = mapped_column(ForeignKey("ledger_transfers.id"), index=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("ledger_accounts.id"))
    amount_micro: Mapped[int]
    """Into the account if positive, out of it if negative."""
    reference: Mapped[str | None] = mapped_column(unique=True)
    """What this line pays for, where one transfer carries many: each earning is paid once."""
