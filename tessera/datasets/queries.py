"""What a build reads: one snapshot, one pass, never more than a few tiles in memory."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Numeric, Row, Select, Text, and_, cast, func, select, text

from tessera.assignment.models import Answer, Task, TaskState
from tessera.datasets.assemble import Gap, ImageTiles, SettledTile
from tessera.datasets.audited import Audited
from tessera.datasets.manifest import Drawn, Labelled, Spent
from tessera.earnings.models import Earning, EarningState
from tessera.images.models import Image, ImageState, Tile
from tessera.kernel.db import Reader
from tessera.kernel.errors import NotFound
from tessera.kinds import Window
from tessera.projects.models import Project
from tessera.quality.review_models import Audit, AuditTask

FETCH = 256
"""Tiles to a round trip. A label of a crowded tile can be 100 kB."""


async def unhurried(reader: Reader) -> None:
    """Let this transaction take longer than a request's may, also between its statements."""
    await reader.execute(text("SET LOCAL statement_timeout = '1h'"))
    await reader.execute(text("SET LOCAL idle_in_transaction_session_timeout = '10min'"))


async def project_of(reader: Reader, project_id: UUID) -> Labelled:
    project = await reader.get(Project, project_id)
    if project is None:
        raise NotFound("There is no such project.")
    drawn = project
    if project.kind == "join" and project.follows_id is not None:
        drawn = await reader.get_one(Project, project.follows_id)
    return Labelled(
        id=str(project.id),
        images_of=project.images_of,
        drawn_in=Drawn(drawn.id, drawn.kind, drawn.label_schema),
        name=project.name,
        kind=project.kind,
        label_schema=project.label_schema,
        slicing=project.slicing,
        quality=project.quality,
        currency=project.currency,
    )


async def audited(reader: Reader, project: Labelled, *, as_of: datetime) -> Audited:
    """By the last audit drawn of those that were finished by then."""
    finished = select(Audit.id, Audit.created_at).where(
        Audit.project_id == project.drawn_in.id, Audit.finished_at <= as_of
    )
    newest = finished.order_by(Audit.created_at.desc(), Audit.id.desc()).limit(1)
    found = (await reader.execute(newest)).one_or_none()
    return Audited(None, None) if found is None else Audited(found.id, found.created_at)


async def images(
    reader: Reader, project: Labelled, counts: Audited, *, as_of: datetime
) -> AsyncGenerator[list[ImageTiles], None]:
    """All ready images in the order of their names, whole, a batch at a time.

    Streamed from a cursor, so that Postgres sorts once, however many there are.

    Args:
        counts: What an audit tells of the tiles of images that have no gap; counted on the way.
    """
    joins = await _joins(reader, project.id) if project.kind == "join" else {}
    rows = await reader.stream(
        _tiles(project.drawn_in.id, project.images_of, counts.audit_id, as_of),
        execution_options={"yield_per": FETCH, "max_row_buffer": FETCH},
    )
    batch: list[ImageTiles] = []
    async for page in rows.partitions():
        for row in page:
            if not batch or batch[-1].uuid != str(row.image_id):
                counts.next_image(batch[-1] if batch else None)
                batch.append(_image(row, joins.get(row.image_id, []), as_of))
            _add(batch[-1], row, as_of)
            if row.state is not None:
                counts.add(row)
        # the last one may go on in the next page
        if whole := batch[:-1]:
            yield whole
            del batch[:-1]
    counts.next_image(batch[-1] if batch else None)
    yield batch


def _tiles(
    project_id: UUID, images_of: UUID, audit_id: UUID | None, as_of: datetime
) -> Select[*tuple[Any, ...]]:
    """Byte order of names, which is the same on every machine; a locale's is not."""
    return (
        select(
            Image.id.label("image_id"),
            Image.name,
            Image.width,
            Image.height,
            Image.sha256,
            Image.georeference,
            Tile.number,
            Tile.core_left,
            Tile.core_top,
            Tile.core_right,
            Tile.core_bottom,
            Tile.window_left,
            Tile.window_top,
            Tile.window_right,
            Tile.window_bottom,
            Tile.key,
            Task.state,
            Task.settled_at,
            Task.settled_by,
            Task.confidence,
            # a label that was set to nothing is JSON's null
            func.nullif(cast(Task.label, Text), "null").label("label"),
            cast(Task.subject, Text).label("subject"),
            Task.is_gold,
            AuditTask.is_right,
            AuditTask.is_corrected,
        )
        .outerjoin(Tile, and_(Tile.image_id == Image.id, Tile.number >= 0))
        .outerjoin(Task, and_(Task.project_id == project_id, Task.tile_id == Tile.id))
        .outerjoin(AuditTask, and_(AuditTask.audit_id == audit_id, AuditTask.task_id == Task.id))
        .where(
            Image.project_id == images_of,
            Image.state == ImageState.READY,
            Image.ready_at <= as_of,
        )
        .order_by(Image.name.collate("C"), Tile.number)
    )


async def _joins(reader: Reader, project_id: str) -> dict[UUID, list[Row[Any]]]:
    """What was asked about seams, by image. They are few: geometry decides nearly all."""
    asked = (
        select(
            Tile.image_id,
            Task.subject["pieces"].label("pieces"),
            Task.label["verdict"].astext.label("verdict"),
            Task.state,
            Task.settled_at,
        )
        .join(Tile, Tile.id == Task.tile_id)
        .where(Task.project_id == UUID(project_id))
    )
    joins: dict[UUID, list[Row[Any]]] = {}
    for row in await reader.execute(asked):
        joins.setdefault(row.image_id, []).append(row)
    return joins


def _image(row: Row[Any], joins: Sequence[Row[Any]], as_of: datetime) -> ImageTiles:
    image = ImageTiles(
        str(row.image_id), row.name, row.width, row.height, row.sha256, row.georeference
    )
    for each in joins:
        if not _is_settled(each, as_of):
            image.gap = Gap.UNSETTLED
        elif each.verdict is not None:  # or it cannot be told, and stays as geometry has it
            first, second = map(tuple, each.pieces)
            image.decided[first, second] = each.verdict == "yes"
    return image


def _is_settled(row: Row[Any], as_of: datetime) -> bool:
    return bool(row.state is TaskState.SETTLED and row.settled_at <= as_of)


def _add(image: ImageTiles, row: Row[Any], as_of: datetime) -> None:
    if not _is_settled(row, as_of):
        image.gap = image.gap or Gap.UNSETTLED
    elif row.label is None:
        image.gap = Gap.UNUSABLE
    if image.gap is None:
        image.tiles.append(_tile(row))
    else:
        image.tiles.clear()


def _tile(row: Row[Any]) -> SettledTile:
    return SettledTile(
        number=row.number,
        core=Window(row.core_left, row.core_top, row.core_right, row.core_bottom),
        window=Window(row.window_left, row.window_top, row.window_right, row.window_bottom),
        label=row.label,
        confidence=row.confidence,
        source=row.settled_by,
        subject=row.subject,
        picture=row.key,
    )


async def spent(reader: Reader, project_id: UUID, *, as_of: datetime) -> Spent:
    """What was paid by then, for all answers of the project.

    Means of decimals, not of floats: those would depend on the order in which rows are met.
    """
    paid = (
        select(
            func.count(),
            func.coalesce(func.sum(Earning.amount_micro + Earning.fee_micro), 0),
            func.count(Answer.score),
            func.avg(cast(Answer.score, Numeric(9, 6))),
            func.avg(cast(Answer.agreement, Numeric(9, 6))),
        )
        .select_from(Earning)
        .outerjoin(
            Answer,
            and_(Answer.project_id == Earning.project_id, Answer.lease_id == Earning.lease_id),
        )
        .where(
            Earning.project_id == project_id,
            Earning.state.in_((EarningState.APPROVED, EarningState.AVAILABLE)),
            Earning.decided_at <= as_of,
        )
    )
    answers, cost, gold, score, agreement = (await reader.execute(paid)).one()
    return Spent(answers, int(cost), gold, _mean(score), _mean(agreement))


def _mean(value: Any) -> float | None:
    return None if value is None else float(round(value, 4))
