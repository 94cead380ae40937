"""What is asked, of which images, at what price."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base, Entity
from tessera.projects.states import ProjectState

__all__ = ["Follows", "PolicyVersion", "Project", "ProjectState"]

ABOUT = "kind IN ('verify', 'join')"


@dataclass(frozen=True)
class Follows:
    """That a project is a later stage of a chain."""

    project_id: UUID
    """The stage before it."""
    classes: Sequence[int] | None = None
    """Where one of these was found it goes on; None: where anything was."""


class Project(Entity):
    __tablename__ = "projects"
    __table_args__ = (
        CheckConstraint("price_micro > 0", name="price_positive"),
        CheckConstraint("fee_micro >= 0", name="fee_not_negative"),
        CheckConstraint("committed_micro <= reserved_micro", name="within_budget"),
        # one could send back what the other has found right, or joined
        Index("uq_projects_verified", "follows_id", unique=True, postgresql_where=ABOUT),
    )

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str]
    instructions: Mapped[str]
    """Markdown as the operator wrote it; earners get `projects.instructions.to_html` of it."""
    kind: Mapped[str]
    """A key of `tessera.kinds.KINDS`."""
    label_schema: Mapped[dict[str, Any]]
    follows_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id"), index=True)
    """The stage before this one in a chain: what is settled there is asked about here."""
    follows_classes: Mapped[list[Any] | None]
    """Only where one of these was found is this asked; None: wherever anything was."""
    first_stage_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id"))
    """Of a chain, whose images all its stages are about; None for a project that follows none."""
    slicing: Mapped[dict[str, Any]]
    quality: Mapped[dict[str, Any]]
    policy_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Of `quality`; see `PolicyVersion`."""
    currency: Mapped[str]
    price_micro: Mapped[int]
    """To the earner, for one answer."""
    fee_micro: Mapped[int]
    """To the platform, for one answer; fixed when the project is made."""
    lease_seconds: Mapped[int]
    state: Mapped[ProjectState] = mapped_column(default=ProjectState.DRAFT)
    paused_reason: Mapped[str | None]
    """Why it was paused, if nobody did: `broken-tasks`."""
    resumed_at: Mapped[datetime | None]
    reserved_micro: Mapped[int] = mapped_column(default=0)
    """The worst case that launches have moved into escrow so far."""
    committed_micro: Mapped[int] = mapped_column(default=0)
    """What the places of tasks opened so far can cost; never more than was reserved."""
    gold_places: Mapped[int] = mapped_column(default=0)
    """Places of each gold task, fixed at launch."""
    launched_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]

    @property
    def follows(self) -> Follows | None:
        if self.follows_id is None:
            return None
        return Follows(self.follows_id, self.follows_classes)

    @property
    def images_of(self) -> UUID:
        """The project that has the images this one is about."""
        return self.first_stage_id or self.id


class PolicyVersion(Base):
    """A quality policy as it was at some time: what was decided then can be understood by it."""

    __tablename__ = "policies"
    __table_args__ = (PrimaryKeyConstraint("project_id", "version"),)

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    version: Mapped[int]
    """From 1."""
    quality: Mapped[dict[str, Any]]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
