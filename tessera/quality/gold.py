"""Tasks whose right answer is known: from a COCO file, or from a task that was settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import String, Uuid, any_, delete, exists, insert, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import queue
from tessera.assignment import tasks as task_access
from tessera.assignment.models import Task, TaskState
from tessera.images.models import Image, Tile
from tessera.kinds import LabelSchema, Size, TileFrame, Window, kind_of
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality.coco import Known, read
from tessera.quality.errors import BadCoco, NoPlacesLeft, NotSettled, UnknownImage
from tessera.quality.models import Gold, GoldSource


@dataclass(frozen=True)
class Taken:
    """What an import made of one image."""

    file_name: str
    gold_tasks: int
    launched_tasks: int
    """Left as they are: people may have answered them already."""


async def import_coco(
    session: AsyncSession, project_id: UUID, *, coco: object, caller: Caller
) -> Sequence[Taken]:
    """Make gold of the tasks of the images that a COCO file knows; all of it or nothing.

    Import before launching: a task that was launched stays what it was. Imported again, an image
    has the answers of the last file.

    Raises:
        BadCoco, UnknownClass: The file cannot be used; says where.
        UnknownImage: It names images that are not there, or not sliced yet.
    """
    # locked: no launch may open a task between our look at it and our change
    project = await projects.owned(
        session, project_id, caller=caller, right=Right.PROJECTS_WRITE, lock=True
    )
    known = read(coco, LabelSchema.parse(project.label_schema), boxes=project.kind == "box")
    images = await _images(session, project.id, known)
    return [
        await _take(session, project, images[name], known[name], caller.person_id)
        for name in sorted(known)
    ]


async def _images(
    session: AsyncSession, project_id: UUID, known: Mapping[str, Known]
) -> dict[str, Image]:
    names = literal(list(known), ARRAY(String))
    has_tasks = exists().where(
        Tile.image_id == Image.id, Task.project_id == project_id, Task.tile_id == Tile.id
    )
    rows = await session.scalars(
        select(Image).where(Image.project_id == project_id, Image.name == any_(names), has_tasks)
    )
    images = {image.name: image for image in rows}
    if missing := sorted(known.keys() - images.keys()):
        raise UnknownImage(
            "The file names images that this project does not have, or has not sliced yet.",
            images=missing[:20],
            count=len(missing),
        )
    for name, image in images.items():
        if (image.width, image.height) != known[name].size:
            raise BadCoco(
                f"“{name}” is {image.width} x {image.height} pixels, seen upright. Boxes drawn on "
                "another size would be wrong.",
                at=known[name].at,
            )
    return images


async def _take(
    session: AsyncSession, project: Project, image: Image, known: Known, actor_id: UUID
) -> Taken:
    rows = (
        await session.execute(
            select(Task.id, Task.state, Tile)
            .join(Tile, Tile.id == Task.tile_id)
            .where(Task.project_id == project.id, Tile.image_id == image.id)
            .order_by(Tile.number)
        )
    ).all()
    kind, schema = kind_of(project.kind), LabelSchema.parse(project.label_schema)
    expected = {
        task_id: kind.to_tile(known.objects, schema, frame_of(tile, known.size))
        for task_id, state, tile in rows
        if state is TaskState.WAITING
    }
    await _unmark(session, project.id, list(expected))
    gold = {task_id: label for task_id, label in expected.items() if label is not None}
    await _mark(session, project.id, gold, actor_id)
    return Taken(image.name, len(gold), len(rows) - len(expected))


async def _unmark(session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]) -> None:
    ids = any_(literal(task_ids, ARRAY(Uuid)))
    await session.execute(delete(Gold).where(Gold.project_id == project_id, Gold.task_id == ids))
    await session.execute(
        update(Task)
        .where(Task.project_id == project_id, Task.id == ids, Task.is_gold)
        .values(is_gold=False, label=None, confidence=None)
        .execution_options(synchronize_session=False)
    )


async def _mark(
    session: AsyncSession, project_id: UUID, gold: Mapping[UUID, dict[str, Any]], actor_id: UUID
) -> None:
    if not gold:
        return
    await session.execute(
        insert(Gold),
        [
            {
                "project_id": project_id,
                "task_id": task_id,
                "expected": label,
                "source": GoldSource.IMPORT,
                "created_by": actor_id,
            }
            for task_id, label in gold.items()
        ],
    )
    await session.execute(
        update(Task)
        .where(
            Task.project_id == project_id,
            Task.id == Gold.task_id,
            Gold.project_id == project_id,
            Task.id == any_(literal(list(gold), ARRAY(Uuid))),
        )
        .values(is_gold=True, label=Gold.expected, confidence=1.0)
        .execution_options(synchronize_session=False)
    )


async def mark_settled(session: AsyncSession, task_id: UUID, *, caller: Caller) -> Gold:
    """Ask a settled task of further people, as gold.

    It is paid from the places that the task's launch reserved and that were not needed.

    Raises:
        NotSettled: Its answer is not known.
        NoPlacesLeft: All places that were paid for are used.
    """
    task = await task_access.owned(
        session, task_id, caller=caller, right=Right.PROJECTS_WRITE, lock=True
    )
    if task.state is not TaskState.SETTLED or task.label is None:
        raise NotSettled("Only a settled task can become gold.", state=task.state)
    if not task.is_gold:
        if not await queue.add_gold_places(session, task):
            raise NoPlacesLeft("All places that the launch paid for are used.")
        task.is_gold = True
        session.add(
            Gold(
                project_id=task.project_id,
                task_id=task.id,
                expected=task.label,
                source=GoldSource.SETTLED,
                created_by=caller.person_id,
            )
        )
        await session.flush()
    return await session.get_one(Gold, (task.project_id, task.id))


def frame_of(tile: Tile, image: Size) -> TileFrame:
    return TileFrame(
        window=Window(tile.window_left, tile.window_top, tile.window_right, tile.window_bottom),
        core=Window(tile.core_left, tile.core_top, tile.core_right, tile.core_bottom),
        image=image,
    )
