"""What is known to be right, and what is known of who is right."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import PrimaryKeyConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base


class GoldSource(StrEnum):
    IMPORT = "import"
    SETTLED = "settled"


class Gold(Base):
    __tablename__ = "gold"
    __table_args__ = (PrimaryKeyConstraint("project_id", "task_id"),)

    project_id: Mapped[UUID]
    task_id: Mapped[UUID]
    expected: Mapped[dict[str, Any]]
    """The right answer, tile pixels."""
    source: Mapped[GoldSource]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[UUID | None]


class TrustRecord(Base):
    """`quality.trust.Trust` of one earner in one project."""

    __tablename__ = "trust"
    __table_args__ = (PrimaryKeyConstraint("project_id", "earner_id"),)

    project_id: Mapped[UUID]
    earner_id: Mapped[UUID]
    alpha: Mapped[float]
    beta: Mapped[float]
    seen: Mapped[int]
    missed: Mapped[int]
