"""The money for one answer, from the moment it was given until it is in the ledger."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base


class EarningState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    """Decided; the next batch writes it to the ledger."""
    AVAILABLE = "available"
    """In the ledger, in the earner's balance."""
    REJECTED = "rejected"


class Earning(Base):
    """One per answer. While a lease is open, the lease itself is the reservation."""

    __tablename__ = "earnings"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "lease_id"),
        Index("ix_earnings_page", "earner_id", "created_at", "lease_id"),
        Index("ix_earnings_due", "project_id", "decided_at", postgresql_where="state = 'approved'"),
        Index(
            "ix_earnings_pending", "project_id", "created_at", postgresql_where="state = 'pending'"
        ),
        Index(
            "ix_earnings_contestable",
            "project_id",
            postgresql_where="contestable_until IS NOT NULL",
        ),
        CheckConstraint("amount_micro > 0", name="amount_positive"),
        CheckConstraint("(state = 'available') = (transfer_id IS NOT NULL)", name="posted"),
        CheckConstraint("state <> 'rejected' OR reason IS NOT NULL", name="rejection_has_reason"),
    )

    project_id: Mapped[UUID]
    lease_id: Mapped[UUID]
    task_id: Mapped[UUID]
    earner_id: Mapped[UUID]
    currency: Mapped[str]
    amount_micro: Mapped[int]
    fee_micro: Mapped[int]
    state: Mapped[EarningState] = mapped_column(default=EarningState.PENDING)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    decided_at: Mapped[datetime | None]
    reason_code: Mapped[str | None]
    reason: Mapped[str | None]
    """For the earner to read."""
    contestable_until: Mapped[datetime | None]
    """While it may yet be paid after all, its money stays set aside."""
    transfer_id: Mapped[int | None] = mapped_column(ForeignKey("ledger_transfers.id"))
