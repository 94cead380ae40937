"""Some of a project's tasks, from which to learn who answers how.

To match drawings takes milliseconds a task, and everybody can be known from a thousand tasks; so no
more are looked at, whatever the size of the project. Each time they begin at another place.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Outcome, Task
from tessera.assignment.questions import questions_of
from tessera.projects.models import Project
from tessera.quality.case import Case, answers_to, case_of, underway_of

MOST = 1_000
"""Tasks of one sample."""
LEAST = 2
"""Answers: who draws alone is beside nobody."""
OF_EACH = 5
"""Answers that are looked through for a task."""


async def sample(
    session: AsyncSession, project_id: UUID, *, start: UUID, most: int = MOST
) -> Sequence[UUID]:
    """Ordinary tasks that several people have answered, however they stand: ascending.

    Those of some answers, by lease from a place on, then from the first: how many tasks nobody has
    answered makes no difference.
    """
    asked: dict[UUID, None] = {}
    for part in (Answer.lease_id >= start, Answer.lease_id < start):
        some = (
            select(Answer.task_id)
            .where(Answer.project_id == project_id, Answer.outcome == Outcome.ANSWERED, part)
            .order_by(Answer.lease_id)
            .limit(OF_EACH * most - len(asked))
        )
        asked |= dict.fromkeys(await session.scalars(some))
    several = (
        select(Answer.task_id)
        .join(Task, (Task.project_id == Answer.project_id) & (Task.id == Answer.task_id))
        .where(
            Answer.project_id == project_id,
            Answer.task_id.in_(asked),
            Answer.outcome == Outcome.ANSWERED,
            ~Task.is_gold,
        )
        .group_by(Answer.task_id)
        .having(func.count() >= LEAST)
    )
    found = set(await session.scalars(several))
    return sorted([each for each in asked if each in found][:most])


async def case_and_tasks(
    session: AsyncSession, project: Project, task_ids: Sequence[UUID]
) -> tuple[Case, Sequence[Task]]:
    """What it takes to judge some tasks, without locks: to look at them, not to decide."""
    tasks = (
        await session.scalars(
            select(Task)
            .where(Task.project_id == project.id, Task.id.in_(task_ids))
            .order_by(Task.id)
        )
    ).all()
    underway = await underway_of(session, tasks)
    answers = await answers_to(session, project.id, task_ids)
    questions = await questions_of(session, project, task_ids)
    return await case_of(session, project, questions, answers, underway), tasks
