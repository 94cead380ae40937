"""What was decided about people, and what they say to it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base


class Effect(StrEnum):
    REPAIR = "repair"
    """An answer may be corrected, once; else it is not paid."""
    REJECTED = "rejected"
    """An answer is not paid."""
    LOWERED = "lowered"
    """Trust has fallen."""
    CHECKED = "checked"
    """Answers are compared with known ones more often."""
    SLOWED = "slowed"
    """So too, and tasks come a few at a time."""
    STOPPED = "stopped"
    """There are no more tasks in this project."""
    RESTORED = "restored"
    """There are again; or an answer is paid after all."""


class Rule(StrEnum):
    BELOW_MINIMUM_TRUST = "below-minimum-trust"
    LOWERED_TRUST = "lowered-trust"
    UNLIKE_THE_LABEL = "unlike-the-label"
    UNUSUAL_ANSWERS = "unusual-answers"
    BY_A_PERSON = "by-a-person"
    POLICY_CHANGED = "policy-changed"
    CONTEST_UPHELD = "contest-upheld"
    GOLD_WAS_WRONG = "check-task-was-wrong"


class ContestState(StrEnum):
    OPEN = "open"
    UPHELD = "upheld"
    DENIED = "denied"


class Decision(Base):
    """A receipt: what was decided about an earner, by which rule, from which numbers."""

    __tablename__ = "decisions"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "id"),
        Index("ix_decisions_id", "id"),
        Index("ix_decisions_page", "earner_id", "created_at", "id"),
        Index("ix_decisions_earner", "project_id", "earner_id", "created_at"),
        Index("ix_decisions_because", "project_id", "because_id"),
        Index(
            "ix_decisions_open",
            "due_at",
            postgresql_where="contested_at IS NOT NULL AND resolved_at IS NULL",
        ),
        Index(
            "ix_decisions_contested",
            "project_id",
            "due_at",
            "id",
            postgresql_where="contested_at IS NOT NULL",
        ),
        Index(
            "uq_decisions_lease",
            "project_id",
            "lease_id",
            "effect",
            unique=True,
            postgresql_where="lease_id IS NOT NULL",
        ),
        CheckConstraint("(contested_at IS NULL) = (due_at IS NULL)", name="due"),
        CheckConstraint("(resolved_at IS NULL) = (upheld IS NULL)", name="resolved"),
        CheckConstraint("resolved_at IS NULL OR contested_at IS NOT NULL", name="contested"),
    )

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
    earner_id: Mapped[UUID]
    effect: Mapped[Effect]
    rule: Mapped[Rule]
    reason: Mapped[str]
    """In sentences, for the earner to read."""
    numbers: Mapped[dict[str, Any]]
    """That it follows from, by name."""
    window_from: Mapped[datetime | None]
    """Of the answers that it is about; none: of one answer."""
    window_to: Mapped[datetime] = mapped_column(server_default=func.now())
    policy_version: Mapped[int]
    """Of the project's quality policy (`projects.models.PolicyVersion`)."""
    lease_id: Mapped[UUID | None]
    """Of the answer, if it is about one."""
    because_id: Mapped[UUID | None]
    """The decision that this one follows from: if that is overturned, so is this."""
    decided_by: Mapped[UUID | None]
    """A person; none: the rule alone."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    contested_at: Mapped[datetime | None]
    contest: Mapped[str | None]
    """In the earner's words."""
    due_at: Mapped[datetime | None]
    """If nobody has answered the contest by then, it is upheld."""
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[UUID | None]
    """None: nobody answered in time, or what it follows from was overturned."""
    upheld: Mapped[bool | None]
    answer: Mapped[str | None]
    """To the contest, for the earner to read."""

    @property
    def contest_state(self) -> ContestState | None:
        if self.contested_at is None:
            return None
        if self.upheld is None:
            return ContestState.OPEN
        return ContestState.UPHELD if self.upheld else ContestState.DENIED
