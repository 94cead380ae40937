"""How people answer, as far as it is unusual."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Float, ForeignKey, PrimaryKeyConstraint, SmallInteger, String, func
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base


class Suspicion(Base):
    """What signals told of an earner in a project, when they were last looked for."""

    __tablename__ = "suspicions"
    __table_args__ = (PrimaryKeyConstraint("project_id", "earner_id"),)

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    earner_id: Mapped[UUID]
    step: Mapped[int] = mapped_column(SmallInteger)
    """`truth.response.Step`."""
    signals: Mapped[list[str]] = mapped_column(ARRAY(String))
    """`truth.signals.Kind`, the strongest first; so the other two."""
    strengths: Mapped[list[float]] = mapped_column(ARRAY(Float))
    evidence: Mapped[list[str]] = mapped_column(ARRAY(String))
    found_at: Mapped[datetime] = mapped_column(server_default=func.now())
    looked_at: Mapped[datetime | None]
    """When it was decided what follows: only worse evidence counts from then on."""
    looked_by: Mapped[UUID | None]
    """A person; none: a contest of it was upheld, as nobody had answered."""
