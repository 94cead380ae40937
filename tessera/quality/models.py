"""What is known to be right, and what is known of who is right."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Float,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base, Entity
from tessera.quality.trust import Trust


class GoldSource(StrEnum):
    IMPORT = "import"
    SETTLED = "settled"


class Retired(StrEnum):
    EXPOSED = "exposed"
    """So many people have seen this picture of it; another took its place."""
    LEAKED = "leaked"
    """It is answered as if the answer were known."""
    WRONG = "wrong"
    """What was expected was not right."""


class NoView(StrEnum):
    """Why there is no other picture of a gold task."""

    MAY_NOT_FLIP = "may-not-flip"
    """It is all of its image, or cannot be moved in it, and flipping is not allowed."""
    UNFIT = "unfit"
    """This kind of answer, or this label schema, cannot be carried over."""
    USED_UP = "used-up"
    """All that could be made were shown."""
    NO_FILE = "no-file"
    """The image's file is gone, or cannot be read."""


class Gold(Base):
    __tablename__ = "gold"
    __table_args__ = (
        PrimaryKeyConstraint("project_id", "task_id"),
        Index("ix_gold_view_of", "project_id", "view_of", postgresql_where="view_of IS NOT NULL"),
    )

    project_id: Mapped[UUID]
    task_id: Mapped[UUID]
    expected: Mapped[dict[str, Any]]
    """The right answer, tile pixels."""
    source: Mapped[GoldSource]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[UUID | None]
    view_of: Mapped[UUID | None]
    """The task that was gold first, if this one shows another picture of it."""
    view: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """How the picture lies to that of the first, as `kinds.views.View.as_json` has it."""
    retired_reason: Mapped[Retired | None]
    no_view: Mapped[NoView | None]
    """Seen by as many as may see it, and why it goes on all the same."""
    answers: Mapped[int] = mapped_column(default=0, server_default="0")
    """Scored, when `quality.gold_health` last looked; so all that follows."""
    accuracy: Mapped[float | None]
    expected_accuracy: Mapped[float | None]
    """By what their earners are trusted with."""
    early_accuracy: Mapped[float | None]
    """Of the first half of the answers, and of the other."""
    late_accuracy: Mapped[float | None]
    pace: Mapped[float | None]
    """Time spent on it, beside what the same people spend on ordinary tasks: 1 is as long."""
    strength: Mapped[float | None]
    """That its answer became known, in powers of ten; see `truth.leaks`."""
    checked_at: Mapped[datetime | None]


class GoldRepair(Base):
    """That gold was wrong, and what was done about it."""

    __tablename__ = "gold_repairs"
    __table_args__ = (PrimaryKeyConstraint("project_id", "task_id"),)

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    task_id: Mapped[UUID]
    expected: Mapped[dict[str, Any]]
    """What was taken to be right, tile pixels."""
    reason: Mapped[str]
    decided_by: Mapped[UUID | None]
    """None: by what earners said of it."""
    earners: Mapped[int]
    """Judged anew."""
    restored: Mapped[int]
    """Of these, who had been stopped and may go on."""
    answers_paid: Mapped[int]
    """That had been rejected."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


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
    unsure: Mapped[int] = mapped_column(default=0, server_default="0")
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    told_mean: Mapped[float | None]
    """Of trust, when the earner was last told that it had fallen, and when that was."""
    told_at: Mapped[datetime | None]
    forgiven_at: Mapped[datetime | None]
    """What was answered until then does not count any more."""
    counts: Mapped[list[float] | None] = mapped_column(ARRAY(Float))
    """Where a project asks for one of K choices: K * K answers by truth and choice, row by row, as
    the last estimate has it, and gold since then; of very many choices, two: right, and all. Where
    objects are drawn, the sums of `kinds.Tally` over all gold."""
    others: Mapped[list[float] | None] = mapped_column(ARRAY(Float))
    """Where objects are drawn, the sums of `kinds.Tally` beside what others drew of the same tasks,
    as the last estimate has it."""

    @property
    def trust(self) -> Trust:
        return Trust(self.alpha, self.beta, self.seen, self.missed, self.unsure)


class EstimateRecord(Base):
    """What is known of a project's crowd as a whole; of each earner see `TrustRecord`."""

    __tablename__ = "estimates"
    __table_args__ = (PrimaryKeyConstraint("project_id"),)

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    choices: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    """That it is about, in this order; if the label schema has others now, it is out of date."""
    answers: Mapped[int]
    """That it was made of. Where objects are drawn, nothing else is known of all together."""
    prior: Mapped[list[float]] = mapped_column(ARRAY(Float))
    common: Mapped[list[float]] = mapped_column(ARRAY(Float))
    """The crowd's matrix, row by row; of very many choices one number, how often it is right."""
    temperature: Mapped[float]
    bias: Mapped[list[float]] = mapped_column(ARRAY(Float))
    known: Mapped[int]
    """Panels of gold that the calibration was learnt from."""
    estimated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Purpose(StrEnum):
    GOLD = "gold"
    PREDICTIONS = "predictions"


class AnnotationImportState(StrEnum):
    REGISTERED = "registered"
    """An upload link was given; the file may or may not have arrived."""
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    """Nothing of it was taken."""


class AnnotationImport(Entity):
    """A file of annotations; what became of each record of it is in the report."""

    __tablename__ = "annotation_imports"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), index=True)
    created_by: Mapped[UUID]
    purpose: Mapped[Purpose]
    format: Mapped[str]
    """A key of `tessera.formats.FORMATS`."""
    size: Mapped[int]
    """Bytes, as announced; so is the hash."""
    sha256: Mapped[str | None]
    partial: Mapped[bool]
    """Whether an image of which something is refused is left out, and the rest is taken."""
    state: Mapped[AnnotationImportState] = mapped_column(default=AnnotationImportState.REGISTERED)
    images: Mapped[int] = mapped_column(default=0)
    """That were taken; of these are the tiles."""
    tasks: Mapped[int] = mapped_column(default=0)
    """That are gold now, or about the predictions."""
    left_tasks: Mapped[int] = mapped_column(default=0)
    """Left as they are: launched, or, where predictions come, gold."""
    untold_tiles: Mapped[int] = mapped_column(default=0)
    """Of which the file does not tell the answer."""
    refused_records: Mapped[int] = mapped_column(default=0)
    """All of them; the report has the first."""
    left_out: Mapped[int] = mapped_column(default=0, server_default="0")
    """Attributes of what was taken that nobody asks for: once for each image, class and name."""
    reason_code: Mapped[str | None]
    """Why nothing was taken."""
    reason: Mapped[str | None]
    finished_at: Mapped[datetime | None]


class ImportLine(Base):
    """A line of the report of an annotation import."""

    __tablename__ = "annotation_import_lines"
    __table_args__ = (PrimaryKeyConstraint("import_id", "number"),)

    import_id: Mapped[UUID] = mapped_column(ForeignKey("annotation_imports.id"))
    number: Mapped[int]
    """From 1: what was refused as it comes in the file, then what was left out of what was taken,
    and then the images that were taken."""
    at: Mapped[str]
    """Where in the file: path and line, or path and record."""
    image: Mapped[str | None]
    code: Mapped[str | None]
    """Why it was refused, or left out; stable. None: it was taken."""
    reason: Mapped[str | None]
    tasks: Mapped[int] = mapped_column(default=0)
    left_tasks: Mapped[int] = mapped_column(default=0)
    untold_tiles: Mapped[int] = mapped_column(default=0)
