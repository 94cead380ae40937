"""What is asked, of which images, at what price."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Entity
from tessera.projects.states import ProjectState

__all__ = ["Project", "ProjectState"]


class Project(Entity):
    __tablename__ = "projects"
    __table_args__ = (
        CheckConstraint("price_micro > 0", name="price_positive"),
        CheckConstraint("fee_micro >= 0", name="fee_not_negative"),
        CheckConstraint("committed_micro <= reserved_micro", name="within_budget"),
    )

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str]
    instructions: Mapped[str]
    """Markdown as the operator wrote it; earners get `projects.instructions.to_html` of it."""
    kind: Mapped[str]
    """A key of `tessera.kinds.KINDS`."""
    label_schema: Mapped[dict[str, Any]]
    slicing: Mapped[dict[str, Any]]
    quality: Mapped[dict[str, Any]]
    currency: Mapped[str]
    price_micro: Mapped[int]
    """To the earner, for one answer."""
    fee_micro: Mapped[int]
    """To the platform, for one answer; fixed when the project is made."""
    lease_seconds: Mapped[int]
    state: Mapped[ProjectState] = mapped_column(default=ProjectState.DRAFT)
    reserved_micro: Mapped[int] = mapped_column(default=0)
    """The worst case that launches have moved into escrow so far."""
    committed_micro: Mapped[int] = mapped_column(default=0)
    """What the places of tasks opened so far can cost; never more than was reserved."""
    gold_places: Mapped[int] = mapped_column(default=0)
    """Places of each gold task, fixed at launch."""
    launched_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
