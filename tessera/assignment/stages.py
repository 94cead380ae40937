"""From stage to stage of a chain: what was settled is asked about next; what was wrong goes back.

Jobs call this, and may call it again: what is to be done follows from the states of the tasks.

Tasks of one tile in several stages are locked in the order of the stages, so nobody deadlocks.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from tessera.assignment import makers, queue
from tessera.assignment.models import Task, TaskState
from tessera.assignment.questions import questions_of
from tessera.kernel import db, jobs
from tessera.kinds import NOT_ABOUT, Question, chained
from tessera.projects import chains
from tessera.projects.models import Project, ProjectState
from tessera.projects.policies import Quality

CHUNK = 500
"""Tasks passed on in one transaction. Of each a label is read."""
PASSED_BY = "earlier-stage"
"""Who settled a task of which an earlier stage had found that there is nothing to ask."""
KNOWN = "gold"
"""Who settled a task whose answer was known; also of one that trains people."""
FOUND_WRONG = "found-wrong"
"""Why a task is in review that no earner can be asked about again."""

_MAKE = text(
    """
    INSERT INTO tasks (project_id, tile_id, state, is_gold, places, places_used, subject,
                       label, confidence, settled_at, settled_by)
    SELECT :project_id, tile_id, state, false, 0, 0, CAST(subject AS jsonb), CAST(label AS jsonb),
           confidence, CASE WHEN state = 'settled' THEN now() END,
           CASE WHEN state = 'settled' THEN :by END
    FROM unnest(
      CAST(:tile_ids AS uuid[]), CAST(:states AS text[]), CAST(:subjects AS text[]),
      CAST(:labels AS text[]), CAST(:confidences AS float8[])
    ) AS passed (tile_id, state, subject, label, confidence)
    ORDER BY tile_id
    ON CONFLICT (project_id, tile_id, pair) DO NOTHING
    """
)


async def changed(session: AsyncSession, project: Project, tasks: Sequence[Task]) -> None:
    """Have the other stages learn of tasks that were settled, or found wrong, just now."""
    settled = [str(task.id) for task in tasks if task.state is TaskState.SETTLED]
    if settled and await is_followed(session, project.id):
        payload = {"project_id": str(project.id), "task_ids": settled}
        await jobs.enqueue(session, "assignment.pass_on", payload=payload)
    for task in tasks:
        if task.state is TaskState.RETURNED:
            payload = {"project_id": str(project.id), "task_id": str(task.id)}
            await jobs.enqueue(session, "assignment.send_back", payload=payload)


async def all_settled(session: AsyncSession, project_id: UUID) -> None:
    """Have the stages that follow a project learn of all that is settled in it."""
    if await is_followed(session, project_id):
        payload = {"project_id": str(project_id)}
        await jobs.enqueue(session, "assignment.pass_on", payload=payload, key=str(project_id))


async def expected(session: AsyncSession, project: Project) -> int:
    """Tasks that may still come from the stages before: one of each of the first stage, at most."""
    if project.first_stage_id is None or project.kind == "join":  # seams are not known before
        return 0
    of_stage = select(func.count()).select_from(Task).where(~Task.is_view)
    first = await session.scalar(of_stage.where(Task.project_id == project.first_stage_id))
    known = await session.scalar(of_stage.where(Task.project_id == project.id))
    return max((first or 0) - (known or 0), 0)


async def is_followed(session: AsyncSession, project_id: UUID) -> bool:
    return bool(await session.scalar(select(exists().where(Project.follows_id == project_id))))


async def pass_on(
    session: AsyncSession, *, earlier_id: UUID, later_id: UUID, task_ids: Sequence[UUID] | None
) -> bool:
    """Ask about settled tasks in the stage that follows; about those that it does not know yet.

    Args:
        task_ids: Of the earlier stage; without them a chunk of all that were not passed on yet.

    Returns:
        Whether there may be more.
    """
    earlier = await session.get_one(Project, earlier_id)
    later = await session.get_one(Project, later_id)
    if later.state is ProjectState.COMPLETED:
        return False
    known = aliased(Task)
    here = select(known.id).where(known.project_id == later.id, known.tile_id == Task.tile_id)
    settled = select(Task).where(
        Task.project_id == earlier.id, Task.state == TaskState.SETTLED, ~Task.is_view
    )
    if task_ids is None:
        settled = settled.where(~here.exists()).limit(CHUNK)
    else:
        settled = settled.where(Task.id.in_(task_ids))
    tasks = (await session.scalars(db.locking(settled.order_by(Task.id)))).all()
    if not tasks:
        return False
    questions = await questions_of(session, earlier, [task.id for task in tasks])
    passed = [
        await asyncio.to_thread(_passed, earlier, later, task, questions[task.id]) for task in tasks
    ]
    await _make(session, later, passed)
    tile_ids = [each.tile_id for each in passed]
    await makers.note(session, later.id, made_in=earlier.id, tile_ids=tile_ids)
    await _ask_again(session, later, {each.tile_id: each for each in passed})
    await open_waiting(session, later)
    return task_ids is None and len(tasks) == CHUNK


async def open_waiting(session: AsyncSession, project: Project) -> None:
    """Have what waits in a launched project opened, as far as its launches have paid for it."""
    if project.launched_at is not None:
        payload = {"project_id": str(project.id)}
        await jobs.enqueue(session, "assignment.open_tasks", payload=payload, key=str(project.id))


@dataclass(frozen=True)
class _Passed:
    """What becomes of a settled task in the stage that follows."""

    tile_id: UUID
    subject: dict[str, Any] | None = None
    label: dict[str, Any] | None = None
    """Without a subject: of what needs not be asked."""
    confidence: float | None = None
    settled: bool = False


def _passed(earlier: Project, later: Project, task: Task, question: Question) -> _Passed:
    if task.label is None:
        return _Passed(task.tile_id, settled=True)  # a tile that cannot be labelled
    if later.kind in NOT_ABOUT:
        return _Passed(task.tile_id, {"label": chained.left(earlier.kind, task.label, question)})
    found = chained.classes_in(earlier.kind, task.label, question)
    if found if later.follows_classes is None else found & set(later.follows_classes):
        return _Passed(task.tile_id)
    nothing = chained.nothing(later.kind, later.label_schema, question.frame)
    return _Passed(task.tile_id, None, nothing, task.confidence, settled=nothing is not None)


async def _make(session: AsyncSession, later: Project, passed: Sequence[_Passed]) -> None:
    await session.execute(
        _MAKE,
        {
            "project_id": later.id,
            "by": PASSED_BY,
            "tile_ids": [each.tile_id for each in passed],
            "states": ["settled" if each.settled else "waiting" for each in passed],
            "subjects": [_json(each.subject) for each in passed],
            "labels": [_json(each.label) for each in passed],
            "confidences": [each.confidence for each in passed],
        },
    )


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


async def _ask_again(session: AsyncSession, later: Project, passed: dict[UUID, _Passed]) -> None:
    """Ask anew about what was sent back and has been made anew."""
    returned = select(Task).where(
        Task.project_id == later.id,
        Task.tile_id.in_(list(passed)),
        Task.state == TaskState.RETURNED,
    )
    tasks = (await session.scalars(db.locking(returned.order_by(Task.id)))).all()
    for task in tasks:
        now = passed[task.tile_id]
        if now.settled:
            task.state, task.label, task.confidence = TaskState.SETTLED, now.label, now.confidence
            task.settled_by, task.settled_at = PASSED_BY, func.now()
        else:
            await _reopen(session, later, task, now.subject)
    await session.flush()
    await changed(session, later, tasks)


async def send_back(session: AsyncSession, *, project_id: UUID, task_id: UUID) -> None:
    """Have made anew what a task has found wrong, in the nearest earlier stage that makes things.

    Where nobody can be asked any more, a reviewer decides: of what was made if there is such a
    stage, of the task itself if there is none.
    """
    project = await session.get_one(Project, project_id)
    stages = await chains.before(session, project)
    number = next((n for n, each in enumerate(stages) if each.kind not in NOT_ABOUT), None)
    between = [] if number is None else stages[:number]
    found = await session.get_one(Task, (project_id, task_id))
    made = None if number is None else await _locked(session, stages[number].id, found.tile_id)
    for each in reversed(between):
        await _locked(session, each.id, found.tile_id)
    task = await _locked(session, project_id, found.tile_id)
    if task is None or task.state is not TaskState.RETURNED or task.label is None:
        return
    if made is None or number is None or made.is_gold or made.settled_by == KNOWN:
        task.state, task.review_reason = TaskState.REVIEW, FOUND_WRONG
        return
    if made.state is not TaskState.SETTLED or _is_newer(made, task):
        return  # it was sent back before
    reason = chained.found_wrong(project.kind, task.label)
    subject = {"label": chained.as_answer(made.label or {}), "reason": reason}
    for each in [*between, project]:
        tile_ids = [task.tile_id]
        await makers.note(session, stages[number].id, made_in=each.id, tile_ids=tile_ids)
    for each in between:
        await _withhold(session, each.id, task.tile_id)
    await _reopen(session, stages[number], made, subject)


def _is_newer(made: Task, task: Task) -> bool:
    """Whether it was settled after the verdict on it: then it has been made anew since."""
    if made.settled_at is None or task.settled_at is None:
        raise ValueError("both are settled")
    return made.settled_at > task.settled_at


async def _withhold(session: AsyncSession, project_id: UUID, tile_id: UUID) -> None:
    """What a stage in between has said of it does not count any more."""
    task = await _locked(session, project_id, tile_id)
    if task is not None and task.state is TaskState.SETTLED:
        task.state = TaskState.RETURNED
        await session.flush()


async def _locked(session: AsyncSession, project_id: UUID, tile_id: UUID) -> Task | None:
    one = select(Task).where(Task.project_id == project_id, Task.tile_id == tile_id)
    task: Task | None = await session.scalar(
        db.locking(one).execution_options(populate_existing=True)
    )
    return task


async def _reopen(
    session: AsyncSession, project: Project, task: Task, subject: dict[str, Any] | None
) -> None:
    """Ask of a task again, from the places that are left of those that were paid for.

    One that nobody was asked has none yet; the launch has reserved them, and it waits for them.
    """
    task.subject, task.reopened_at = subject, func.now()
    if task.places == 0:
        task.state, task.settled_by, task.settled_at = TaskState.WAITING, None, None
        await session.flush()
        await open_waiting(session, project)
        return
    task.state, task.settled_by = TaskState.OPEN, None
    await session.flush()
    added = 0
    if project.state is not ProjectState.COMPLETED:
        added = await queue.add_places(session, task, Quality(**project.quality).min_overlap)
    if not added:
        task.state, task.review_reason = TaskState.REVIEW, FOUND_WRONG
    await session.flush()
