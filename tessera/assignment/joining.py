"""Asking of pieces that two tiles show whether they are one object, where geometry cannot tell.

An image's tiles are looked at together once all of them are settled. A stage that joins is the last
of its chain, and there is nothing behind it that could send a tile back: so they stay as they are.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import makers
from tessera.assignment.models import Task, TaskState
from tessera.assignment.questions import questions_of
from tessera.assignment.stages import open_waiting
from tessera.images.models import Image, ImageState, Tile
from tessera.kinds import Piece, Question, chained, kind_of, parsed, shown
from tessera.projects.models import Project, ProjectState

_MAKE = text(
    """
    INSERT INTO tasks (project_id, tile_id, pair, state, is_gold, places, places_used, subject)
    SELECT :project_id, tile_id, pair, 'waiting', false, 0, 0, CAST(subject AS jsonb)
    FROM unnest(CAST(:tile_ids AS uuid[]), CAST(:pairs AS int[]), CAST(:subjects AS text[]))
      AS doubtful (tile_id, pair, subject)
    ORDER BY tile_id, pair
    ON CONFLICT (project_id, tile_id, pair) DO NOTHING
    """
)


@dataclass(frozen=True)
class Asked:
    """A question about two pieces.

    Attributes:
        tile_id: Whose picture shows both; tiles has the ids of those that drew them.
        pair: From 0, of those about this tile.
    """

    tile_id: UUID
    pair: int
    subject: dict[str, Any]
    tiles: tuple[UUID, UUID]


async def whole_images(
    session: AsyncSession, earlier_id: UUID, *, task_ids: Sequence[UUID] | None
) -> Sequence[UUID]:
    """Images whose tiles are all settled with a label, of those that tasks are about, or all."""
    about = (
        select(Tile.image_id)
        .join(Task, Task.tile_id == Tile.id)
        .where(Task.project_id == earlier_id)
    )
    if task_ids is not None:
        about = about.where(Task.id.in_(task_ids))
    missing = (
        select(Tile.id)
        .outerjoin(
            Task,
            (Task.project_id == earlier_id)
            & (Task.tile_id == Tile.id)
            & (Task.state == TaskState.SETTLED)
            & (func.jsonb_typeof(Task.label) == "object"),
        )
        .where(Tile.image_id == Image.id, Tile.number >= 0, Task.id.is_(None))
    )
    whole = select(Image.id).where(
        Image.id.in_(about), Image.state == ImageState.READY, ~missing.exists()
    )
    return (await session.scalars(whole.order_by(Image.id))).all()


async def ask(session: AsyncSession, earlier_id: UUID, later_id: UUID, image_id: UUID) -> None:
    """Make the tasks of one image; doing it again adds none."""
    earlier = await session.get_one(Project, earlier_id)
    later = await session.get_one(Project, later_id)
    if later.state is ProjectState.COMPLETED:
        return
    tasks = await session.scalars(
        select(Task)
        .join(Tile, Tile.id == Task.tile_id)
        .where(Task.project_id == earlier.id, Tile.image_id == image_id, Tile.number >= 0)
        .order_by(Tile.number)
    )
    found = tasks.all()
    questions = await questions_of(session, earlier, [task.id for task in found])
    asked = await asyncio.to_thread(_asked, earlier, found, [questions[t.id] for t in found])
    tile_ids, pairs = [each.tile_id for each in asked], [each.pair for each in asked]
    subjects = [orjson.dumps(each.subject).decode() for each in asked]
    made = {"project_id": later.id, "tile_ids": tile_ids, "pairs": pairs, "subjects": subjects}
    await session.execute(_MAKE, made)
    for end in (0, 1):
        made_on = [each.tiles[end] for each in asked]
        await makers.note(
            session, later.id, made_in=earlier.id, tile_ids=tile_ids, pairs=pairs, made_on=made_on
        )
    if asked:
        await open_waiting(session, later)


def _asked(earlier: Project, tasks: Sequence[Task], questions: Sequence[Question]) -> list[Asked]:
    kind, schema = kind_of(earlier.kind), parsed(earlier.label_schema)
    pieces = [
        Piece(question.frame, kind.to_image(task.label or {}, question))
        for task, question in zip(tasks, questions, strict=True)
    ]
    numbers = dict.fromkeys((task.tile_id for task in tasks), 0)
    asked = []
    for doubt in chained.doubts(earlier.kind, pieces, schema):
        for tile in sorted({piece for piece, _ in doubt}):
            subject = _subject(earlier, pieces, doubt, questions[tile])
            if subject is not None:
                id_ = tasks[tile].tile_id
                tiles = (tasks[doubt[0][0]].tile_id, tasks[doubt[1][0]].tile_id)
                asked.append(Asked(id_, numbers[id_], subject, tiles))
                numbers[id_] += 1
                break
    return asked


def _subject(
    earlier: Project, pieces: Sequence[Piece], doubt: chained.Doubt, question: Question
) -> dict[str, Any] | None:
    """Both pieces as a tile shows them, and which they are; None if it does not show them."""
    drawn, schema = shown(earlier.kind, parsed(earlier.label_schema))
    ends: list[dict[str, Any]] = []
    for piece, number in doubt:
        label = kind_of(drawn).to_tile(
            [pieces[piece].objects[number]], Question(schema, question.frame)
        )
        objects = chained.as_answer(label)["objects"] if label is not None else []
        if len(objects) != 1:
            return None
        ends += objects
    return {"first": ends[0], "second": ends[1], "pieces": [list(each) for each in doubt]}
