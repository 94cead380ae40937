"""Some of a project's tasks, from which to learn who answers how.

To match drawings takes milliseconds a task, and everybody can be known from a thousand tasks; so no
more are looked at, whatever the size of the project. Each time they begin at another place.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Outcome, Task
from tessera.assignment.questions import questions_of
from tessera.projects.models import Project
from tessera.quality.case import Case, answers_to, case_of, underway_of

MOST = 1_000
"""Tasks of one sample."""
LEAST = 2
"""Answers: who draws alone is beside nobody."""


async def sample(
    session: AsyncSession, project_id: UUID, *, start: UUID, most: int = MOST
) -> Sequence[UUID]:
    """Ordinary tasks that several people have answered, by id from a place on, then from the first.

    However they stand, and whoever has settled them.
    """
    # a plan for the few rows that statistics promise of one project would take minutes
    await session.execute(text("SELECT set_config('statement_timeout', '10min', true)"))
    said = (
        select(func.count())
        .where(
            Answer.project_id == project_id,
            Answer.task_id == Task.id,
            Answer.outcome == Outcome.ANSWERED,
        )
        .scalar_subquery()
    )
    some = select(Task.id).where(
        Task.project_id == project_id,
        ~Task.is_gold,
        Task.places_used >= LEAST,  # most that nobody has answered need not be counted
        said >= LEAST,
    )
    found: list[UUID] = []
    for part in (Task.id >= start, Task.id < start):
        ordered = some.where(part).order_by(Task.id).limit(most - len(found))
        found += (await session.scalars(ordered)).all()
    return found


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
