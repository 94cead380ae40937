"""Training from the earner's side, up to the answers: who may begin, and what they are asked.

A training has numbered places, paid for at launch, and whoever trains or has passed holds one. So
passing is always paid, and never more people pass than there is money for.

Locks, in this order: the training, trainees by earner. Who begins, and who gives a completed
project's money back, holds the training; who answers holds their own trainee alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import admission, queries
from tessera.assignment.errors import Blocked, TrainingClosed, TrainingNotNeeded, TrainingWaits
from tessera.assignment.models import ANYBODYS, QueueEntry, Standing
from tessera.assignment.training_models import (
    Trainee,
    TraineeState,
    Training,
    TrainingQuestion,
    TrainingTask,
)
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.projects.models import Project, ProjectState
from tessera.projects.policies import Quality

RIGHT_FROM = 0.5
"""Score from which an answer is right: below it, gold is missed, too (`quality.trust`)."""


class State(StrEnum):
    NOT_NEEDED = "not-needed"
    NEEDED = "needed"
    """Whether one may begin now depends on others: `OPEN` or `CLOSED`."""
    OPEN = "open"
    CLOSED = "closed"
    WAITING = "waiting"
    """The last attempt has failed, and the next one begins later."""
    RUNNING = "running"
    PASSED = "passed"


class Closed(StrEnum):
    """Why nobody may begin, or not this earner."""

    NOT_OPEN = "project-not-open"
    BLOCKED = "blocked"
    NO_WORK = "no-work"
    ENOUGH_PEOPLE = "enough-people"
    NO_PLACES = "no-places-left"


@dataclass(frozen=True)
class View:
    """How it stands between one earner and one training."""

    project: Project
    training: Training | None
    trainee: Trainee | None
    state: State
    reason: Closed | None
    retry_after: timedelta | None
    answered: int
    """Of the last attempt; so `right`."""
    right: int

    @property
    def retry_after_seconds(self) -> int | None:
        return None if self.retry_after is None else ceil(self.retry_after.total_seconds())


def trains() -> ColumnElement[bool]:
    """Whether a project of the query lets nobody work who was not trained."""
    return exists().where(Training.project_id == Project.id)


def standing_of(trainee: Trainee | None, now: datetime) -> tuple[State, datetime | None]:
    """Where an earner stands, as far as it depends on them, and when they may begin if not yet."""
    if trainee is None:
        return State.NEEDED, None
    if trainee.state is TraineeState.PASSED:
        return State.PASSED, None
    if trainee.state is TraineeState.RUNNING and trainee.ends_at > now:
        return State.RUNNING, None
    again_at = trainee.again_at or _again(trainee, trainee.ends_at)
    return (State.WAITING, again_at) if again_at > now else (State.NEEDED, None)


async def planned(session: AsyncSession, project: Project) -> Training | None:
    """The training that a first launch fixes; None if there is none, or it is fixed already."""
    if project.launched_at is not None:
        return None
    known = select(func.count()).where(TrainingTask.project_id == project.id)
    policy = Quality(**project.quality)
    questions = min(policy.training_tasks, (await session.execute(known)).scalar_one())
    if not questions:
        return None
    return Training(
        project_id=project.id,
        questions=questions,
        right_needed=admission.right_needed(policy.training_pass, questions),
        places=policy.training_places,
    )


async def look(session: AsyncSession, project_id: UUID, *, earner_id: UUID) -> View:
    """How it stands.

    Raises:
        NotFound: The project is not open, and the earner has never trained in it.
    """
    now = await queries.begin(session)
    of_earner = (Trainee.project_id == Project.id) & (Trainee.earner_id == earner_id)
    theirs = (Standing.project_id == Project.id) & (Standing.earner_id == earner_id)
    row = (
        await session.execute(
            select(Project, Training, Trainee, Standing.blocked_at)
            .outerjoin(Training, Training.project_id == Project.id)
            .outerjoin(Trainee, of_earner)
            .outerjoin(Standing, theirs)
            .where(Project.id == project_id)
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if row is None or (row.Project.state is not ProjectState.OPEN and row.Trainee is None):
        raise NotFound("There is no such project open.")
    project, training, trainee, blocked_at = row
    answered, right = await _said(session, trainee)
    state, again_at = standing_of(trainee, now)
    reason: Closed | None = None
    if training is None:
        state = State.NOT_NEEDED
    elif state is State.NEEDED:
        reason = Closed.BLOCKED if blocked_at else await _closed(session, project, training)
        state = State.CLOSED if reason else State.OPEN
    retry_after = again_at - now if again_at else admission.ASK_AGAIN if reason else None
    return View(project, training, trainee, state, reason, retry_after, answered, right)


async def _said(session: AsyncSession, trainee: Trainee | None) -> tuple[int, int]:
    """Answers of the last attempt, and those that are right."""
    if trainee is None:
        return 0, 0
    right = func.count().filter(TrainingQuestion.score >= RIGHT_FROM)
    counted = select(func.count(TrainingQuestion.score), right).where(
        TrainingQuestion.project_id == trainee.project_id,
        TrainingQuestion.earner_id == trainee.earner_id,
        TrainingQuestion.attempt == trainee.attempt,
    )
    answered, is_right = (await session.execute(counted)).one()
    return answered, is_right


async def _closed(session: AsyncSession, project: Project, training: Training) -> Closed | None:
    """Why nobody may begin now; None: somebody may."""
    if project.state is not ProjectState.OPEN:
        return Closed.NOT_OPEN
    runs = (Trainee.state == TraineeState.RUNNING) & (Trainee.ends_at > func.now())
    is_recent = Trainee.passed_at > func.now() - admission.ADMITTED_WITHIN
    held, people = (
        await session.execute(
            select(
                func.count().filter(runs | Trainee.passed_at.is_not(None)),
                func.count().filter(runs | (is_recent & Standing.blocked_at.is_(None))),
            )
            .select_from(Trainee)
            .outerjoin(
                Standing,
                (Standing.project_id == Trainee.project_id)
                & (Standing.earner_id == Trainee.earner_id),
            )
            .where(Trainee.project_id == project.id, Trainee.place.is_not(None))
        )
    ).one()
    if held >= training.places:
        return Closed.NO_PLACES
    ordinary = (QueueEntry.project_id == project.id) & QueueEntry.lane.in_(ANYBODYS)
    entries = select(QueueEntry.position).where(ordinary).limit(admission.most_counted(people))
    counted = select(func.count()).select_from(entries.subquery())
    free = (await session.execute(counted)).scalar_one()
    if admission.is_enough(free, people, at_once=Quality(**project.quality).places):
        return None
    return Closed.ENOUGH_PEOPLE if free else Closed.NO_WORK


async def begin(session: AsyncSession, project_id: UUID, *, earner_id: UUID) -> View:
    """Begin an attempt, or go on with the one that runs.

    Raises:
        NotFound: The project is not open, and the earner has never trained in it.
        TrainingNotNeeded: The project trains nobody, or has trained this earner.
        TrainingWaits: The next attempt begins later.
        TrainingClosed: There is no work for one more, or no money to train them; says which.
        Blocked: The earner may not work in the project any more.
    """
    view = await look(session, project_id, earner_id=earner_id)
    if _may_begin(view):
        # one at a time: each sees who is in
        await _lock(session, project_id)
        await close_lapsed(session, project_id)
        view = await look(session, project_id, earner_id=earner_id)
        if _may_begin(view):
            await _begin(session, view, earner_id)
            view = await look(session, project_id, earner_id=earner_id)
    return view


def _may_begin(view: View) -> bool:
    """Whether an attempt may begin; not if one runs. Raises what speaks against it."""
    soon = view.retry_after_seconds
    if view.reason is Closed.BLOCKED:
        raise Blocked("You can get no more tasks of this project.")
    if view.reason is not None:
        raise TrainingClosed(
            "Training is closed at the moment.", reason=view.reason, retry_after_seconds=soon
        )
    if view.state is State.WAITING:
        raise TrainingWaits(
            "The last attempt has failed; the next one begins later.", retry_after_seconds=soon
        )
    if view.state in {State.NOT_NEEDED, State.PASSED}:
        raise TrainingNotNeeded("You may work on this project as you are.", state=view.state)
    return view.state is State.OPEN


async def _begin(session: AsyncSession, view: View, earner_id: UUID) -> None:
    """The caller holds the training's lock, and nobody holds a place whose time is over."""
    if view.training is None:
        raise ValueError("what is not there is not open")
    project_id, training = view.project.id, view.training
    number = func.generate_series(1, training.places).column_valued("number")
    taken = exists().where(Trainee.project_id == project_id, Trainee.place == number)
    place = (await session.scalars(select(number).where(~taken).limit(1))).one()
    now = await queries.begin(session)
    trainee = view.trainee or Trainee(project_id=project_id, earner_id=earner_id, attempt=0)
    trainee.state, trainee.place, trainee.attempt = TraineeState.RUNNING, place, trainee.attempt + 1
    trainee.begun_at, trainee.again_at = now, None
    trainee.ends_at = now + admission.lasts(training.questions, view.project.lease_seconds)
    session.add(trainee)
    await session.flush()
    some = select(TrainingTask.task_id).where(TrainingTask.project_id == project_id)
    drawn = await session.scalars(some.order_by(func.random()).limit(training.questions))
    asked = {"project_id": project_id, "earner_id": earner_id, "attempt": trainee.attempt}
    await session.execute(
        insert(TrainingQuestion),
        [{**asked, "number": i, "task_id": task_id} for i, task_id in enumerate(drawn, start=1)],
    )


def fail(trainee: Trainee, at: datetime) -> None:
    """End the attempt that runs; its place is for others. Its row is locked."""
    trainee.state, trainee.place = TraineeState.FAILED, None
    trainee.again_at = _again(trainee, at)


def _again(trainee: Trainee, failed_at: datetime) -> datetime:
    return failed_at + admission.wait_after(trainee.attempt)


async def close_lapsed(session: AsyncSession, project_id: UUID) -> None:
    """End attempts whose time is over. Until somebody needs their places, they only count so."""
    for trainee in await _lapsed(session, project_id):
        fail(trainee, trainee.ends_at)
    await session.flush()


async def _lapsed(session: AsyncSession, project_id: UUID) -> Sequence[Trainee]:
    # waits for answers on their way: one of them may be a pass
    lapsed = select(Trainee).where(
        Trainee.project_id == project_id,
        Trainee.place.is_not(None),
        Trainee.state == TraineeState.RUNNING,
        Trainee.ends_at <= func.now(),
    )
    return (await session.scalars(db.locking(lapsed.order_by(Trainee.earner_id)))).all()


async def is_over(session: AsyncSession, project_id: UUID) -> bool:
    """Whether nobody can pass any more in a completed project."""
    await queries.begin(session)
    await _lock(session, project_id)  # whoever began before it was completed is seen then
    await close_lapsed(session, project_id)
    running = select(Trainee.earner_id).where(
        Trainee.project_id == project_id,
        Trainee.place.is_not(None),
        Trainee.state == TraineeState.RUNNING,
    )
    return await session.scalar(running.limit(1)) is None


async def _lock(session: AsyncSession, project_id: UUID) -> None:
    await session.execute(db.locking(select(Training).where(Training.project_id == project_id)))
