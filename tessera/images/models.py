"""Uploaded files, the images they turn out to be, and the tiles cut from them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, SmallInteger, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tessera.kernel.db import Base, Entity


class ImageState(StrEnum):
    REGISTERED = "registered"
    """An upload link was given; the file may or may not have arrived."""
    CHECKING = "checking"
    SLICING = "slicing"
    READY = "ready"
    REFUSED = "refused"


class ImportState(StrEnum):
    REGISTERED = "registered"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"


class ImportSource(StrEnum):
    ZIP = "zip"
    PREFIX = "prefix"


class Import(Entity):
    """Many images brought in by one call; what became of each file is on its image."""

    __tablename__ = "imports"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), index=True)
    source: Mapped[ImportSource]
    prefix: Mapped[str] = mapped_column(default="")
    state: Mapped[ImportState] = mapped_column(default=ImportState.REGISTERED)
    found: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    """Entries that are no files to look at, or whose name is none an image can have or is already
    taken in the project."""
    skipped_files: Mapped[list[dict[str, str]]] = mapped_column(
        JSONB, default=list, server_default="[]"
    )
    """The first of them, as `Skipped.told` has it."""
    reason_code: Mapped[str | None]
    reason: Mapped[str | None]


class Image(Entity):
    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        Index("ix_images_page", "project_id", "created_at", "id"),
        Index(
            "uq_images_content",
            "project_id",
            "sha256",
            unique=True,
            postgresql_where="state IN ('slicing', 'ready')",
        ),
    )

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    import_id: Mapped[UUID | None] = mapped_column(ForeignKey("imports.id"), index=True)
    name: Mapped[str]
    """The operator's own name for it; never part of an object key."""
    state: Mapped[ImageState] = mapped_column(default=ImageState.REGISTERED)
    reason_code: Mapped[str | None]
    reason: Mapped[str | None]
    source_key: Mapped[str | None]
    """Its key in the organisation's import bucket, if it was not uploaded."""
    content_type: Mapped[str | None]
    sha256: Mapped[str | None]
    bytes: Mapped[int | None]
    width: Mapped[int | None]
    """Image pixels, after the EXIF orientation was applied; so is `height`."""
    height: Mapped[int | None]
    orientation: Mapped[int | None] = mapped_column(SmallInteger)
    """The EXIF orientation of the file, 1 to 8."""
    georeference: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """Where its file says that its pixels are on a map, as `Georeference.as_json` has it."""
    duplicate_of: Mapped[UUID | None] = mapped_column(ForeignKey("images.id"))
    """An earlier image of the project with the same bytes; this one was refused for it."""
    thumbnail_key: Mapped[str | None]
    ready_at: Mapped[datetime | None]


class Tile(Base):
    """A window of an image. `core_*` partition the image; `window_*` add the margin around.

    All are image pixels, half-open. Rows are written once and never change.
    """

    __tablename__ = "tiles"
    __table_args__ = (UniqueConstraint("image_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id"))
    number: Mapped[int]
    """Place in reading order within the image, from 0. Below 0: a window that is shown of gold, and
    is none of those that the image was cut into."""
    core_left: Mapped[int]
    core_top: Mapped[int]
    core_right: Mapped[int]
    core_bottom: Mapped[int]
    window_left: Mapped[int]
    window_top: Mapped[int]
    window_right: Mapped[int]
    window_bottom: Mapped[int]
    key: Mapped[str]
    content_type: Mapped[str]
    bytes: Mapped[int]
