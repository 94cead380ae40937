"""Gold from a task that was settled."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import queue
from tessera.assignment import tasks as task_access
from tessera.assignment.models import Task, TaskState
from tessera.projects import service as projects
from tessera.projects.errors import WrongState
from tessera.projects.states import ProjectState
from tessera.quality.errors import NoPlacesLeft, NotSettled
from tessera.quality.models import Gold, GoldSource


async def mark_settled(session: AsyncSession, task_id: UUID, *, caller: Caller) -> Gold:
    """Ask a settled task of further people, as gold.

    It is paid from the places that the task's launch reserved and that were not needed.

    Raises:
        NotSettled: Its answer is not known.
        WrongState: The project is completed.
        NoPlacesLeft: All places that were paid for are used.
    """
    task = await task_access.owned(
        session, task_id, caller=caller, right=Right.PROJECTS_WRITE, lock=True
    )
    if task.state is not TaskState.SETTLED or task.label is None:
        raise NotSettled("Only a settled task can become gold.", state=task.state)
    if not task.is_gold:
        project = await projects.owned(
            session, task.project_id, caller=caller, right=Right.PROJECTS_WRITE
        )
        if project.state is ProjectState.COMPLETED:
            raise WrongState("Nobody is asked in a completed project.", state=project.state)
        if task.places_used == task.places:
            raise NoPlacesLeft("All places that the launch paid for are used.")
        await add_settled(session, task, source=GoldSource.SETTLED, actor_id=caller.person_id)
    return await session.get_one(Gold, (task.project_id, task.id))


async def add_settled(
    session: AsyncSession, task: Task, *, source: GoldSource, actor_id: UUID | None
) -> None:
    """Make gold of a settled task that has a label and places left; the caller has locked it."""
    await queue.add_gold_places(session, task)
    task.is_gold = True
    session.add(
        Gold(
            project_id=task.project_id,
            task_id=task.id,
            expected=task.label,
            source=source,
            created_by=actor_id,
        )
    )
    await session.flush()
