"""Which known answers train people: from then on they are told, and so are no gold any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import tasks as task_access
from tessera.assignment.models import Task, TaskState
from tessera.assignment.training_models import Trainee, TraineeState, Training, TrainingTask
from tessera.kernel.errors import NotFound
from tessera.projects import service as projects
from tessera.projects.errors import WrongState
from tessera.projects.states import ProjectState
from tessera.quality.errors import NotKnown
from tessera.quality.models import Gold, GoldSource

BY = "gold"
"""Who settled it, as of gold: whoever brought the answer in."""


async def mark(session: AsyncSession, task_id: UUID, *, hint: str, caller: Caller) -> TrainingTask:
    """Train people by a task whose answer is known; again, with another hint.

    Raises:
        NotKnown: Nobody has said what its answer is.
        WrongState: The project was launched: people may have answered it as gold.
    """
    task = await _of_draft(session, task_id, caller)
    key = (task.project_id, task.id)
    trains = await session.get(TrainingTask, key)
    if trains is not None:
        trains.hint = hint
        return trains
    gold = await session.get(Gold, key)
    if gold is None or not task.is_gold or task.state is not TaskState.WAITING:
        raise NotKnown("The right answer to this task is not known: import it first.")
    trains = TrainingTask(
        project_id=task.project_id,
        task_id=task.id,
        hint=hint,
        known_answer=gold.expected,
        created_by=caller.person_id,
    )
    session.add(trains)
    await session.delete(gold)
    # settled without a place: nothing ever puts it into the queue
    task.is_gold, task.state, task.settled_by = False, TaskState.SETTLED, BY
    task.settled_at = func.now()
    await session.flush()
    return trains


async def unmark(session: AsyncSession, task_id: UUID, *, caller: Caller) -> None:
    """Make gold of it again.

    Raises:
        NotFound: It trains nobody.
        WrongState: The project was launched.
    """
    task = await _of_draft(session, task_id, caller)
    trains = await session.get(TrainingTask, (task.project_id, task.id))
    if trains is None:
        raise NotFound("This task trains nobody.")
    session.add(
        Gold(
            project_id=task.project_id,
            task_id=task.id,
            expected=trains.known_answer,
            source=GoldSource.IMPORT,
            created_by=caller.person_id,
        )
    )
    await session.delete(trains)
    task.is_gold, task.state, task.settled_by, task.settled_at = True, TaskState.WAITING, None, None
    await session.flush()


@dataclass(frozen=True)
class Trains:
    """What trains people in a project, and how many it has trained."""

    tasks: Sequence[TrainingTask]
    """One page of them, in the order of their ids."""
    places: int | None
    """People who can pass; None before the launch, and where nobody is trained."""
    trainees: dict[str, int]
    """By state."""


async def list_owned(
    session: AsyncSession, project_id: UUID, *, caller: Caller, after: UUID | None, limit: int
) -> Trains:
    await projects.owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    theirs = select(TrainingTask).where(TrainingTask.project_id == project_id)
    if after is not None:
        theirs = theirs.where(TrainingTask.task_id > after)
    tasks = (await session.scalars(theirs.order_by(TrainingTask.task_id).limit(limit))).all()
    training = await session.get(Training, project_id)
    counted = select(Trainee.state, func.count()).where(Trainee.project_id == project_id)
    counts = dict((await session.execute(counted.group_by(Trainee.state))).all())
    trainees = {state.value: counts.get(state, 0) for state in TraineeState}
    return Trains(tasks, training.places if training else None, trainees)


async def _of_draft(session: AsyncSession, task_id: UUID, caller: Caller) -> Task:
    """The task, its project locked before it: no launch may come between, as of imports."""
    right = Right.PROJECTS_WRITE
    task = await task_access.owned(session, task_id, caller=caller, right=right)
    project = await projects.owned(session, task.project_id, caller=caller, right=right, lock=True)
    if project.state is not ProjectState.DRAFT:
        raise WrongState("What trains people is fixed by the launch.", state=project.state)
    return await task_access.owned(session, task_id, caller=caller, right=right, lock=True)
