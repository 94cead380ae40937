"""Another picture for a gold task that enough people have seen: which one, and taking its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import makers, queue, stages
from tessera.assignment.models import Task, TaskState
from tessera.assignment.questions import questions_of
from tessera.images.models import Image, Tile
from tessera.images.views import Picture, Source
from tessera.kernel import db
from tessera.kinds import Question, TileFrame
from tessera.kinds.views import (
    AS_IT_IS,
    View,
    candidates,
    known_in,
    may_mirror,
    may_move,
    subject_in,
)
from tessera.projects.models import Project, ProjectState
from tessera.projects.policies import Quality, QualityFields
from tessera.quality.models import Gold, NoView, Retired

AT_ONCE = 500
"""Gold tasks that one sweep has shown otherwise."""

_DUE = text(
    """
    SELECT gold.project_id, gold.task_id
    FROM gold
    JOIN projects ON projects.id = gold.project_id AND projects.state IN ('open', 'paused')
    JOIN tasks ON tasks.project_id = gold.project_id AND tasks.id = gold.task_id
    WHERE tasks.is_gold AND tasks.retired_at IS NULL
      AND (gold.no_view IS NULL
           OR (gold.no_view = :flips AND CAST(projects.quality ->> 'may_flip' AS boolean)))
      AND (tasks.places_used < tasks.places OR EXISTS (
        SELECT FROM queue_entries e
        WHERE e.project_id = gold.project_id AND e.task_id = gold.task_id))
      AND (
        SELECT count(*) FROM (
          SELECT FROM leases
          WHERE leases.project_id = gold.project_id AND leases.task_id = gold.task_id
          LIMIT coalesce(CAST(projects.quality ->> 'gold_exposure' AS int), :exposure)
        ) AS had
      ) >= coalesce(CAST(projects.quality ->> 'gold_exposure' AS int), :exposure)
    ORDER BY gold.project_id, gold.task_id LIMIT :limit
    """
)


async def due(session: AsyncSession, *, limit: int = AT_ONCE) -> list[tuple[UUID, UUID]]:
    """Projects and tasks of gold that as many people have seen as may, and that goes on."""
    exposure = QualityFields.model_fields["gold_exposure"].default
    asked = {"flips": NoView.MAY_NOT_FLIP.value, "exposure": exposure, "limit": limit}
    return [(project_id, task_id) for project_id, task_id in await session.execute(_DUE, asked)]


@dataclass(frozen=True)
class Sight:
    """A view that could be shown next."""

    view: View
    frame: TileFrame
    """What it shows, and if it is mirrored, before that."""
    expected: dict[str, Any]
    subject: dict[str, Any] | None


@dataclass(frozen=True)
class Family:
    """Gold tasks that show the same place, and what may be shown of it next."""

    project_id: UUID
    first: UUID
    """The task that was gold before all views."""
    current: UUID
    """That is shown now."""
    tasks: Sequence[UUID]
    keys: frozenset[str]
    """Of their pictures."""
    told: dict[str, Any]
    """The right answer to the first."""
    source: Source
    exposure: int
    sights: Sequence[Sight]


async def family_of(
    session: AsyncSession, project_id: UUID, task_id: UUID
) -> Family | NoView | None:
    """A gold task with all that shows the same; or why there is no view of it; or None.

    None: it is not shown any more, or nobody is asked in the project.
    """
    gold = await session.get(Gold, (project_id, task_id))
    project = await session.get(Project, project_id)
    task = await session.get(Task, (project_id, task_id))
    if gold is None or project is None or task is None or task.retired_at is not None:
        return None
    if project.state is ProjectState.COMPLETED:
        return None
    first = gold if gold.view_of is None else await _gold(session, project_id, gold.view_of)
    views = await session.scalars(
        select(Gold).where(Gold.project_id == project_id, Gold.view_of == first.task_id)
    )
    shown = [first, *views]
    ids = [each.task_id for each in shown]
    pictures = await session.execute(
        select(Task.id, Tile.key, Tile.image_id)
        .join(Tile, Tile.id == Task.tile_id)
        .where(Task.project_id == project_id, Task.id.in_(ids))
    )
    rows = pictures.all()
    image = await session.get_one(Image, rows[0].image_id)
    cut_by = (await session.get_one(Project, image.project_id)).slicing
    source = Source.of(image, cut_by)
    if source is None:
        return NoView.NO_FILE
    question = (await questions_of(session, project, [first.task_id]))[first.task_id]
    sights = _sights(project, first, question, seen=[view_of(each) for each in shown])
    if isinstance(sights, NoView):
        return sights
    return Family(
        project_id,
        first.task_id,
        task_id,
        ids,
        frozenset(row.key for row in rows),
        first.expected,
        source,
        Quality(**project.quality).gold_exposure,
        sights,
    )


async def _gold(session: AsyncSession, project_id: UUID, task_id: UUID) -> Gold:
    return await session.get_one(Gold, (project_id, task_id))


def view_of(gold: Gold) -> View:
    return AS_IT_IS if gold.view is None else View(**gold.view)


def _sights(
    project: Project, first: Gold, question: Question, *, seen: Sequence[View]
) -> list[Sight] | NoView:
    """Those that were not shown yet; the order follows from the task's id, which nobody sees."""
    kind, flips = project.kind, Quality(**project.quality).may_flip
    moves, mirrors = may_move(kind, question.schema), may_mirror(kind, question.schema)
    every = candidates(question.frame, may_move=moves, may_flip=mirrors, seed=first.task_id.bytes)
    found = [
        Sight(
            view,
            view.of(question.frame),
            expected,
            subject_in(kind, question.subject, question, view),
        )
        for view in every
        if (flips or not view.mirror) and view not in seen
        for expected in [known_in(kind, first.expected, question, view)]
        if expected is not None
    ]
    if found:
        return found
    if not every:
        return NoView.UNFIT
    if mirrors and not flips:
        return NoView.MAY_NOT_FLIP
    return NoView.USED_UP


async def note_none(session: AsyncSession, project_id: UUID, task_id: UUID, why: NoView) -> None:
    """It goes on as it is: with it, whoever does not know it is still told from who knows nothing.

    Whether those who know it make it worthless is for `gold_health` to see.
    """
    await session.execute(
        update(Gold)
        .where(Gold.project_id == project_id, Gold.task_id == task_id)
        .values(no_view=why)
        .execution_options(synchronize_session=False)
    )


async def show_instead(
    session: AsyncSession, family: Family, sight: Sight, picture: Picture
) -> UUID | None:
    """Have a view take the place of what is shown now, for as many as had not met that yet.

    No money moves: each place of the new task was one of an old one. Who has met any picture of
    the family is kept from the new one.

    Locks: the project, its tasks by id, the image.

    Returns:
        The new task; None if the other one is not shown any more.
    """
    project = await session.scalar(
        db.locking(select(Project).where(Project.id == family.project_id))
    )
    one_by_one = (
        select(Task)
        .where(Task.project_id == family.project_id, Task.id.in_(family.tasks))
        .order_by(Task.id)
    )
    tasks = {task.id: task for task in await session.scalars(db.locking(one_by_one))}
    old, first = tasks[family.current], await _gold(session, family.project_id, family.first)
    await session.refresh(first)
    if project is None or project.state is ProjectState.COMPLETED or old.retired_at is not None:
        return None
    if (
        not old.is_gold or first.expected != family.told
    ):  # put right meanwhile: the next sweep knows
        return None
    new = await _add(session, family, sight, picture, source=first)
    await retire(session, [old], Retired.EXPOSED)
    free, positions = await queue.take_out(
        session, [task for task in tasks.values() if task.retired_at is not None]
    )
    await makers.note_seen(session, family.project_id, new.id, seen=family.tasks)
    await queue.put_in(session, new, free, positions)
    await stages.open_waiting(session, project)
    return new.id


async def retire(session: AsyncSession, tasks: Sequence[Task], why: Retired) -> None:
    """Ask nobody any more; answers that are on their way count. The caller has locked the tasks."""
    for task in tasks:
        task.retired_at = func.now()
        gold = await _gold(session, task.project_id, task.id)
        gold.retired_reason = why
    await session.flush()
    for task in tasks:
        await session.refresh(task, ["retired_at"])


async def _add(
    session: AsyncSession, family: Family, sight: Sight, picture: Picture, *, source: Gold
) -> Task:
    image_id = family.source.image_id
    await session.scalar(db.locking(select(Image.id).where(Image.id == image_id)))
    least = await session.scalar(select(func.min(Tile.number)).where(Tile.image_id == image_id))
    frame = sight.frame
    tile = Tile(
        id=uuid4(),
        project_id=family.source.project_id,
        image_id=image_id,
        number=min(least or 0, 0) - 1,
        **{f"core_{side}": edge for side, edge in frame.core._asdict().items()},
        **{f"window_{side}": edge for side, edge in frame.window._asdict().items()},
        key=picture.key,
        content_type=family.source.content_type,
        bytes=picture.size,
    )
    task = Task(
        id=uuid4(),
        project_id=family.project_id,
        tile_id=tile.id,
        state=TaskState.SETTLED,
        is_gold=True,
        is_view=True,
        subject=sight.subject,
        label=sight.expected,
        confidence=1.0,
        opened_at=func.now(),
        settled_at=func.now(),
        settled_by="gold",
    )
    session.add_all([tile, task])
    await session.flush()
    session.add(
        Gold(
            project_id=family.project_id,
            task_id=task.id,
            expected=sight.expected,
            source=source.source,
            view_of=family.first,
            view=sight.view.as_json(),
        )
    )
    await session.flush()
    return task
