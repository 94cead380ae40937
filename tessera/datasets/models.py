"""Dataset versions, and the work of building and verifying them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base, Entity


class RunKind(StrEnum):
    BUILD = "build"
    VERIFY = "verify"


class RunState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Dataset(Base):
    """An immutable version. Its id is the SHA-256 of its manifest's canonical JSON."""

    __tablename__ = "datasets"
    __table_args__ = (
        Index("ix_datasets_page", "project_id", "created_at", "id"),
        CheckConstraint("id ~ '^[0-9a-f]{64}$'", name="id_is_sha256"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    manifest: Mapped[dict[str, Any]]
    manifest_key: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DatasetRun(Entity):
    """One build or one verification, which somebody asked for and may poll."""

    __tablename__ = "dataset_runs"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), index=True)
    kind: Mapped[RunKind]
    state: Mapped[RunState] = mapped_column(default=RunState.RUNNING)
    as_of: Mapped[datetime] = mapped_column(server_default=func.now())
    """A build takes the tasks settled up to this moment, however often it is retried."""
    options: Mapped[dict[str, Any] | None]
    """Of a build; see `options.Options`."""
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"))
    findings: Mapped[list[Any] | None]
    """What a verification found wrong: path and what about it; empty if all is well."""
    error: Mapped[str | None]
    finished_at: Mapped[datetime | None]
