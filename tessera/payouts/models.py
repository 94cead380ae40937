"""Money leaving: where to, how much, and in which batch."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base, Entity
from tessera.payouts.states import BatchState, PayoutState

__all__ = ["BatchState", "Destination", "Payout", "PayoutBatch", "PayoutState", "Rail"]


class Rail(StrEnum):
    """Who moves the money."""

    MANUAL = "manual"
    """A person at the platform's bank, from an exported file."""


class Destination(Base):
    """Where an earner wants to be paid."""

    __tablename__ = "payout_destinations"

    earner_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"), primary_key=True)
    rail: Mapped[Rail]
    details: Mapped[dict[str, Any]]
    """As `destinations.parse` returned them."""
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PayoutBatch(Entity):
    __tablename__ = "payout_batches"
    __table_args__ = (
        Index("ix_payout_batches_page", "created_at", "id"),
        # four eyes, whatever the code says
        CheckConstraint("approved_by NOT IN (created_by, edited_by)", name="four_eyes"),
        CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved_at"),
        CheckConstraint(
            "state IN ('draft', 'cancelled') OR approved_by IS NOT NULL", name="approved"
        ),
    )

    currency: Mapped[str]
    rail: Mapped[Rail]
    state: Mapped[BatchState] = mapped_column(default=BatchState.DRAFT)
    items_sha256: Mapped[str]
    """Of the sorted items; what was approved is what is sent."""
    created_by: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    edited_by: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    """Who decided last what is in it; at first its creator."""
    approved_by: Mapped[UUID | None] = mapped_column(ForeignKey("people.id"))
    approved_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]


class Payout(Entity):
    """One earner's request, and the item it becomes in a batch."""

    __tablename__ = "payouts"
    __table_args__ = (
        Index("ix_payouts_page", "earner_id", "created_at", "id"),
        Index("ix_payouts_items", "batch_id", "id"),
        Index(
            "ix_payouts_waiting", "currency", "created_at", postgresql_where="state = 'requested'"
        ),
        CheckConstraint("amount_micro > 0", name="amount_positive"),
        CheckConstraint(
            "(state IN ('requested', 'cancelled')) = (batch_id IS NULL)", name="item_of_a_batch"
        ),
        CheckConstraint("(state = 'returned') = (reason IS NOT NULL)", name="return_has_reason"),
        CheckConstraint("(state = 'returned') = (returned_at IS NOT NULL)", name="returned_at"),
        CheckConstraint("state <> 'settled' OR settled_at IS NOT NULL", name="settled_at"),
    )

    earner_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    currency: Mapped[str]
    amount_micro: Mapped[int]
    rail: Mapped[Rail]
    destination: Mapped[dict[str, Any]]
    """Pinned when asked for: a later change of destination does not reach it."""
    state: Mapped[PayoutState] = mapped_column(default=PayoutState.REQUESTED)
    batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("payout_batches.id"))
    rail_reference: Mapped[str | None]
    """What the rail calls it, if it has said."""
    reason: Mapped[str | None]
    """Why it came back, for the earner to read."""
    settled_at: Mapped[datetime | None]
    """Stays when the money comes back after all."""
    returned_at: Mapped[datetime | None]
