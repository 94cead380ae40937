"""Tasks from the operator's side."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment.models import Answer, Task, TaskState
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.kernel.paging import After
from tessera.projects import service as projects


async def owned(
    session: AsyncSession, task_id: UUID, *, caller: Caller, right: Right, lock: bool = False
) -> Task:
    """The only way an operator's request gets at a task.

    Raises:
        NotFound: No such task, or not theirs.
        Forbidden: Theirs, but their role does not include this.
    """
    one = select(Task).where(Task.id == task_id)
    task: Task | None = await session.scalar(one)
    if task is None:
        raise NotFound("There is no such thing here.")
    await projects.owned(session, task.project_id, caller=caller, right=right)
    return (await session.scalars(db.locking(one))).one() if lock else task


async def list_owned(
    session: AsyncSession,
    project_id: UUID,
    *,
    state: TaskState | None,
    caller: Caller,
    after: UUID | None,
    limit: int,
) -> Sequence[Task]:
    """A project's tasks in the order of their ids, which says nothing about them; no views."""
    await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    theirs = select(Task).where(Task.project_id == project_id, ~Task.is_view)
    if state is not None:
        theirs = theirs.where(Task.state == state)
    if after is not None:
        theirs = theirs.where(Task.id > after)
    return (await session.scalars(theirs.order_by(Task.id).limit(limit))).all()


async def answers(
    session: AsyncSession, task: Task, *, after: After | None, limit: int
) -> Sequence[Answer]:
    """Answers to a task, oldest first."""
    to_it = select(Answer).where(Answer.project_id == task.project_id, Answer.task_id == task.id)
    if after is not None:
        to_it = to_it.where(tuple_(Answer.answered_at, Answer.lease_id) > after)
    oldest = to_it.order_by(Answer.answered_at, Answer.lease_id).limit(limit)
    return (await session.scalars(oldest)).all()


async def counts(session: AsyncSession, project_id: UUID) -> dict[str, int]:
    """Tasks of a project by state, gold apart."""
    rows = await session.execute(
        select(Task.state, Task.is_gold, func.count())
        .where(Task.project_id == project_id, ~Task.is_view)
        .group_by(Task.state, Task.is_gold)
    )
    result: dict[str, int] = dict.fromkeys([*TaskState, "gold"], 0)
    for state, is_gold, count in rows:
        result["gold" if is_gold else state.value] += count
    return result
