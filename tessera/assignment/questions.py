"""What tasks ask, as their answers are judged by."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Task
from tessera.images.models import Image, Tile
from tessera.kinds import Question, Size, TileFrame, Window, parsed
from tessera.projects.models import Project


async def questions_of(
    session: AsyncSession, project: Project, task_ids: Sequence[UUID]
) -> dict[UUID, Question]:
    """By task."""
    schema = parsed(project.label_schema)
    rows = await session.execute(
        select(Task.id, Task.subject, Tile, Image.width, Image.height)
        .join(Tile, Tile.id == Task.tile_id)
        .join(Image, Image.id == Tile.image_id)
        .where(Task.project_id == project.id, Task.id.in_(task_ids))
    )
    return {
        task_id: Question(schema, _frame(tile, Size(width or 0, height or 0)), subject)
        for task_id, subject, tile, width, height in rows
    }


def _frame(tile: Tile, image: Size) -> TileFrame:
    return TileFrame(
        window=Window(tile.window_left, tile.window_top, tile.window_right, tile.window_bottom),
        core=Window(tile.core_left, tile.core_top, tile.core_right, tile.core_bottom),
        image=image,
    )
