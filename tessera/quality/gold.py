"""Tasks whose right answer is known: from a COCO file, or from a task that was settled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import queue
from tessera.assignment import tasks as task_access
from tessera.assignment.models import Task, TaskState
from tessera.images.models import Image, ImageState, Tile
from tessera.kinds import LabelSchema, Size, TileFrame, Window, kind_of
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality.coco import objects_by_image
from tessera.quality.errors import NoPlacesLeft, NotSettled, UnknownImage
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

    Import before launching: a task that was launched stays what it was.

    Raises:
        BadCoco, UnknownClass: The file cannot be used; says where.
        UnknownImage: It names images that are not there, or not sliced yet.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE)
    schema = LabelSchema.parse(project.label_schema)
    known = objects_by_image(coco, schema)
    found = await session.execute(
        select(Image.name, Image.id, Image.width, Image.height).where(
            Image.project_id == project.id,
            Image.name.in_(known),
            Image.state == ImageState.READY,
        )
    )
    images = {name: (id_, Size(w or 0, h or 0)) for name, id_, w, h in found}
    if missing := sorted(known.keys() - images.keys()):
        raise UnknownImage(
            "The file names images that this project does not have, or has not sliced yet.",
            images=missing[:20],
            count=len(missing),
        )
    return [
        await _take(session, project, schema, name, images[name], objects, caller.person_id)
        for name, objects in sorted(known.items())
    ]


async def _take(
    session: AsyncSession,
    project: Project,
    schema: LabelSchema,
    name: str,
    image: tuple[UUID, Size],
    objects: Sequence[dict[str, Any]],
    actor_id: UUID,
) -> Taken:
    image_id, size = image
    rows = (
        await session.execute(
            select(Task.id, Task.state, Tile)
            .join(Tile, Tile.id == Task.tile_id)
            .where(Task.project_id == project.id, Tile.image_id == image_id)
            .order_by(Tile.number)
        )
    ).all()
    kind = kind_of(project.kind)
    expected = {
        task_id: kind.to_tile(objects, schema, frame_of(tile, size))
        for task_id, state, tile in rows
        if state is TaskState.WAITING
    }
    gold = {task_id: label for task_id, label in expected.items() if label is not None}
    if gold:
        await session.execute(
            insert(Gold).on_conflict_do_nothing(),
            [
                {
                    "project_id": project.id,
                    "task_id": task_id,
                    "expected": label,
                    "source": GoldSource.IMPORT,
                    "created_by": actor_id,
                }
                for task_id, label in gold.items()
            ],
        )
        for task_id, label in gold.items():
            await session.execute(
                update(Task)
                .where(Task.project_id == project.id, Task.id == task_id)
                .values(is_gold=True, label=label, confidence=1.0)
                .execution_options(synchronize_session=False)
            )
    return Taken(name, len(gold), len(rows) - len(expected))


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


async def count(session: AsyncSession, project_id: UUID) -> int:
    gold = select(func.count()).select_from(Gold).where(Gold.project_id == project_id)
    return (await session.execute(gold)).scalar_one()


def frame_of(tile: Tile, image: Size) -> TileFrame:
    return TileFrame(
        window=Window(tile.window_left, tile.window_top, tile.window_right, tile.window_bottom),
        core=Window(tile.core_left, tile.core_top, tile.core_right, tile.core_bottom),
        image=image,
    )
