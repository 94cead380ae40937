"""What people could not agree on, decided by a reviewer: what may cost most comes first."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Float,
    cast,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import tasks as task_access
from tessera.assignment.models import Task, TaskState
from tessera.assignment.questions import questions_of
from tessera.kinds import kind_of
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.projects.policies import Quality
from tessera.quality import reviews, second
from tessera.quality.errors import NotInReview
from tessera.quality.gold import mark_settled
from tessera.quality.review_models import MINUS_RISK, ReviewPurpose
from tessera.quality.settle import settle_by_hand

_IN_REVIEW: ColumnElement[bool] = literal_column("tasks.state = 'review'", Boolean())
"""Not as a parameter: of those a generic plan does not know that a partial index serves them."""
_CLASSES = [
    f"${within}.{named}"
    for within in ("", ".label")
    for named in ("classes[*]", "objects[*].class", "regions[*].class")
]
"""Where labels, and what tasks are about, name classes."""


class Place(NamedTuple):
    """Of a task in the queue of reviewers; the first is least."""

    minus_value: float
    opened_at: datetime
    task_id: UUID


class Waiting(NamedTuple):
    task: Task
    minus_value: float

    @property
    def place(self) -> Place | None:
        opened_at = self.task.opened_at
        return None if opened_at is None else Place(self.minus_value, opened_at, self.task.id)


async def waiting(
    session: AsyncSession, project_id: UUID, *, caller: Caller, after: Place | None, limit: int
) -> list[Waiting]:
    """Tasks waiting for a reviewer, by risk times importance; of equals the oldest first.

    By ix_tasks_review_risk where all classes cost the same; else all that wait are looked at.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    key: ColumnElement[float] = MINUS_RISK
    if weights := Quality(**project.quality).importance:
        key = MINUS_RISK * _importance(weights)
    queue = select(Task, key).where(Task.project_id == project_id, _IN_REVIEW)
    if after is not None:
        place = tuple_(literal(after.minus_value, Float), after.opened_at, after.task_id)
        queue = queue.where(tuple_(key, Task.opened_at, Task.id) > place)
    rows = await session.execute(queue.order_by(key, Task.opened_at, Task.id).limit(limit))
    return [Waiting(task, minus_value) for task, minus_value in rows]


def _importance(weights: Mapping[str, float]) -> ColumnElement[float]:
    """The most that a class in the best guess, or in what the task is about, counts."""
    named: ColumnElement[Any] = literal_column("'[]'::jsonb", JSONB)
    for column in (Task.label, Task.subject):
        for path in _CLASSES:
            there = func.jsonb_path_query_array(column, literal_column(f"'{path}'"), type_=JSONB)
            named = named.op("||")(func.coalesce(there, literal_column("'[]'::jsonb")))
    each = func.jsonb_array_elements_text(named).table_valued("value")
    weight = cast(literal(weights, JSONB).op("->>")(each.c.value), Float)
    most = select(func.max(func.coalesce(weight, 1.0))).select_from(each).scalar_subquery()
    return func.coalesce(most, 1.0, type_=Float)


async def decide(
    session: AsyncSession, task_id: UUID, *, label: object | None, gold: bool, caller: Caller
) -> Task:
    """Settle a task in review, or one that people still work on. Without a label it is unusable.

    Of the latter there may be some that nobody is left for. One that two reviewers see differently
    may be decided again, by a third.

    Args:
        gold: Ask it of others from now on, as gold; if that cannot be, nothing is decided.

    Raises:
        NotInReview: It is settled, or was not launched.
        InvalidAnswer: The label does not fit the label schema or the tile.
        SameReviewer: Two reviewers differ, and this is one of them.
        NoPlacesLeft: It cannot be gold, as all places that were paid for are used.
    """
    task = await task_access.owned(session, task_id, caller=caller, right=Right.REVIEW, lock=True)
    differing = await second.differing(session, task)
    if task.state not in {TaskState.REVIEW, TaskState.OPEN} and differing is None:
        raise NotInReview("This task is not waiting for review.", state=task.state)
    project = await session.get_one(Project, task.project_id)
    question = (await questions_of(session, project, [task.id]))[task.id]
    canonical = None if label is None else kind_of(project.kind).validate(label, question)
    guess, score = task.label, None
    if differing is not None:
        await second.close(session, differing, reviewer_id=caller.person_id)
    if guess is not None:
        score = await reviews.likeness(project, question, said=guess, truth=canonical)
    await reviews.note(
        session,
        project,
        task.id,
        reviewer_id=caller.person_id,
        purpose=ReviewPurpose.QUEUE if differing is None else ReviewPurpose.THIRD,
        label=canonical,
        compared=guess,
        score=score,
    )
    await settle_by_hand(session, task, label=canonical)
    if gold:
        await mark_settled(session, task.id, caller=caller)
    await session.refresh(task)
    return task
