"""What people could not agree on, decided by a reviewer."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import tasks as task_access
from tessera.assignment.models import Task, TaskState
from tessera.assignment.questions import questions_of
from tessera.kernel.paging import After
from tessera.kinds import kind_of
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality.errors import NotInReview
from tessera.quality.settle import settle_by_hand


async def waiting(
    session: AsyncSession, project_id: UUID, *, caller: Caller, after: After | None, limit: int
) -> Sequence[Task]:
    """Tasks waiting for a reviewer, oldest first."""
    await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    queue = select(Task).where(Task.project_id == project_id, Task.state == TaskState.REVIEW)
    if after is not None:
        queue = queue.where(tuple_(Task.opened_at, Task.id) > after)
    return (await session.scalars(queue.order_by(Task.opened_at, Task.id).limit(limit))).all()


async def decide(
    session: AsyncSession, task_id: UUID, *, label: object | None, caller: Caller
) -> Task:
    """Settle a task in review, or one that people still work on. Without a label it is unusable.

    Of the latter there may be some that nobody is left for.

    Raises:
        NotInReview: It is settled, or was not launched.
        InvalidAnswer: The label does not fit the label schema or the tile.
    """
    task = await task_access.owned(session, task_id, caller=caller, right=Right.REVIEW, lock=True)
    if task.state not in {TaskState.REVIEW, TaskState.OPEN}:
        raise NotInReview("This task is not waiting for review.", state=task.state)
    canonical = None
    if label is not None:
        project = await session.get_one(Project, task.project_id)
        questions = await questions_of(session, project, [task.id])
        canonical = kind_of(project.kind).validate(label, questions[task.id])
    await settle_by_hand(session, task, label=canonical)
    await session.refresh(task)
    return task
