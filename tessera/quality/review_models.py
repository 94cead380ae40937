"""What reviewers said: of tasks in review, as a second opinion, and of a sample."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    false,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tessera.assignment.models import Task
from tessera.kernel.db import Base, Entity

MINUS_RISK: ColumnElement[float] = literal_column("(coalesce(tasks.confidence, 0) - 1)", Float())
"""What a reviewer removes by looking: the probability that the best guess is wrong. Minus, as an
index has what is riskiest first then, and of equals the oldest."""

Index(
    "ix_tasks_review_risk",
    Task.project_id,
    text("(coalesce(confidence, 0) - 1)"),
    Task.opened_at,
    Task.id,
    postgresql_where="state = 'review'",
)


class ReviewPurpose(StrEnum):
    QUEUE = "queue"
    """It decided a task in review, or one that nobody was left for."""
    SECOND = "second"
    """Said by another reviewer who had not seen the first one's; decides nothing."""
    THIRD = "third"
    """It decided where those two differ."""
    AUDIT = "audit"


class Second(StrEnum):
    """What became of the second opinion on a decision."""

    NONE = "none"
    WANTED = "wanted"
    AGREES = "agrees"
    DIFFERS = "differs"
    DECIDED = "decided"
    """It differed, and a third reviewer has decided."""


class Review(Base):
    """What one reviewer said of one task; never changed but for `second`."""

    __tablename__ = "reviews"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "id"),
        Index("ix_reviews_task_id", "project_id", "task_id"),
        Index("ix_reviews_page", "project_id", "created_at", "id"),
        Index(
            "ix_reviews_wanted",
            "project_id",
            "created_at",
            "id",
            postgresql_where="second = 'wanted'",
        ),
        Index(
            "ix_reviews_differs",
            "project_id",
            "created_at",
            "id",
            postgresql_where="second = 'differs'",
        ),
    )

    project_id: Mapped[UUID]
    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
    task_id: Mapped[UUID]
    reviewer_id: Mapped[UUID]
    purpose: Mapped[ReviewPurpose]
    label: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """None: the tile cannot be labelled; so `compared`."""
    compared: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """What people's answers came to, or the first reviewer's label."""
    score: Mapped[float | None]
    """How alike the two are, 0 to 1, by the kind; None where there was nothing to compare with."""
    quality: Mapped[dict[str, Any]]
    """The project's policy when it was said."""
    second: Mapped[Second] = mapped_column(default=Second.NONE)
    first_id: Mapped[UUID | None]
    """Of a second opinion: the review that it is one of."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Audit(Entity):
    """A simple random sample of the labels that people's answers came to.

    Of all tasks that were settled by consensus when it was drawn those come first of which the
    SHA-256 of the seed (eight bytes, the highest first) and the id (sixteen) is least.
    """

    __tablename__ = "audits"
    __table_args__ = (
        Index("ix_audits_page", "project_id", "created_at", "id"),
        CheckConstraint("size > 0 AND size <= population", name="size"),
    )

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID]
    seed: Mapped[int]
    population: Mapped[int]
    size: Mapped[int]
    right_from: Mapped[float]
    """Likeness to the reviewer's label from which a label counts as right."""
    quality: Mapped[dict[str, Any]]
    """The project's policy when it was drawn."""
    finished_at: Mapped[datetime | None]
    """When the last of its tasks was looked at; before, it says nothing."""


class AuditTask(Base):
    """One label of a sample, as it stood when it was drawn."""

    __tablename__ = "audit_tasks"
    __table_args__ = (
        PrimaryKeyConstraint("audit_id", "number"),
        UniqueConstraint("audit_id", "task_id"),
    )

    audit_id: Mapped[UUID] = mapped_column(ForeignKey("audits.id"))
    number: Mapped[int]
    """From 1, in the order of the draw."""
    project_id: Mapped[UUID]
    task_id: Mapped[UUID]
    label: Mapped[dict[str, Any]]
    subject: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    confidence: Mapped[float | None]
    is_right: Mapped[bool | None]
    """None until a reviewer has looked."""
    is_corrected: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the reviewer's label took its place: not where it has changed meanwhile, was passed
    on to a later stage, or is gold."""
    review_id: Mapped[UUID | None]
