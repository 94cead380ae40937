"""Answers to training: told at once what they are worth, and paid together if they are a pass."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queries, training
from tessera.assignment.answer import Given
from tessera.assignment.errors import (
    AlreadyAnswered,
    LeaseNotFound,
    LeaseSuperseded,
    TrainingOver,
)
from tessera.assignment.lease import NEWCOMER_GOLD_CHANCE
from tessera.assignment.leased import Leased
from tessera.assignment.models import Outcome, Standing, Task
from tessera.assignment.questions import questions_of
from tessera.assignment.training_models import (
    Trainee,
    TraineeState,
    Training,
    TrainingQuestion,
    TrainingTask,
)
from tessera.earnings import approved
from tessera.earnings.service import Expected
from tessera.images.models import Tile
from tessera.kernel import db
from tessera.kinds import kind_of
from tessera.projects.models import Project


@dataclass(frozen=True)
class Feedback:
    lease_id: UUID
    right: bool
    score: float
    hint: str
    known_answer: dict[str, Any]
    replayed: bool = False
    """The same answer had arrived before; it counts once."""


@dataclass(frozen=True)
class Asked:
    """One question of an attempt, in the form of a lease, and what was said of its answer."""

    leased: Leased
    feedback: Feedback | None


async def questions(session: AsyncSession, view: training.View) -> Sequence[Asked]:
    """What the last attempt asks."""
    trainee, project = view.trainee, view.project
    if trainee is None:
        return []
    rows = await session.execute(
        select(TrainingQuestion, TrainingTask, Task.subject, Tile)
        .join(
            TrainingTask,
            (TrainingTask.project_id == TrainingQuestion.project_id)
            & (TrainingTask.task_id == TrainingQuestion.task_id),
        )
        .join(
            Task, (Task.project_id == TrainingTask.project_id) & (Task.id == TrainingTask.task_id)
        )
        .join(Tile, Tile.id == Task.tile_id)
        .where(
            TrainingQuestion.project_id == trainee.project_id,
            TrainingQuestion.earner_id == trainee.earner_id,
            TrainingQuestion.attempt == trainee.attempt,
        )
        .order_by(TrainingQuestion.number)
    )
    return [
        Asked(_leased(project, trainee, asked, subject, tile), _feedback(asked, known))
        for asked, known, subject, tile in rows
    ]


def _leased(
    project: Project,
    trainee: Trainee,
    asked: TrainingQuestion,
    subject: dict[str, Any] | None,
    tile: Tile,
) -> Leased:
    return Leased(
        asked.id,
        asked.attempt,
        project.id,
        project.kind,
        project.price_micro,
        project.currency,
        trainee.ends_at,
        tile.key,
        tile.content_type,
        tile.window_right - tile.window_left,
        tile.window_bottom - tile.window_top,
        subject,
    )


def _feedback(
    asked: TrainingQuestion, known: TrainingTask, *, replayed: bool = False
) -> Feedback | None:
    if asked.score is None:
        return None
    right = asked.score >= training.RIGHT_FROM
    return Feedback(asked.id, right, asked.score, known.hint, known.known_answer, replayed)


async def answer(
    session: AsyncSession, project_id: UUID, *, earner_id: UUID, given: Given
) -> Feedback:
    """Take one answer and say what it is worth; with the last one, the attempt is over.

    The earner's row is locked: of two answers at once, the later one sees the other.

    Raises:
        LeaseNotFound: It is not a question of theirs.
        LeaseSuperseded: Not of the attempt that they say.
        InvalidAnswer: It is no answer to what is asked.
        AlreadyAnswered: They gave another one before.
        TrainingOver: The attempt is.
    """
    now = await queries.begin(session)
    mine = (Trainee.project_id == project_id) & (Trainee.earner_id == earner_id)
    trainee: Trainee | None = await session.scalar(db.locking(select(Trainee).where(mine)))
    if trainee is None:
        raise LeaseNotFound("You are not asked this.")
    asked, known = await _question(session, trainee, given)
    project = await session.get_one(Project, project_id)
    kind = kind_of(project.kind)
    question = (await questions_of(session, project, [asked.task_id]))[asked.task_id]
    is_said = given.outcome is Outcome.ANSWERED
    value = kind.validate(given.value, question) if is_said else None
    before = _feedback(asked, known, replayed=True)
    if before is not None:
        if (asked.outcome, asked.value) != (given.outcome, value):
            raise AlreadyAnswered("You gave another answer to this task before.")
        return before
    state, _ = training.standing_of(trainee, now)
    if state is not training.State.RUNNING or trainee.attempt != asked.attempt:
        raise TrainingOver("This attempt is over.", state=state)
    asked.outcome, asked.value, asked.answered_at, asked.score = given.outcome, value, now, 0.0
    if value is not None:
        asked.score = await asyncio.to_thread(kind.score, value, known.known_answer, question)
    await session.flush()
    await _finish(session, project, trainee, now)
    told = _feedback(asked, known)
    if told is None:
        raise ValueError("it was scored just now")
    return told


async def _question(
    session: AsyncSession, trainee: Trainee, given: Given
) -> tuple[TrainingQuestion, TrainingTask]:
    row = (
        await session.execute(
            select(TrainingQuestion, TrainingTask)
            .join(
                TrainingTask,
                (TrainingTask.project_id == TrainingQuestion.project_id)
                & (TrainingTask.task_id == TrainingQuestion.task_id),
            )
            .where(
                TrainingQuestion.project_id == trainee.project_id,
                TrainingQuestion.id == given.lease_id,
                TrainingQuestion.earner_id == trainee.earner_id,
            )
        )
    ).one_or_none()
    if row is None:
        raise LeaseNotFound("You are not asked this.")
    asked, known = row
    if asked.attempt != given.fence:
        raise LeaseSuperseded("The fencing number is not this attempt's.")
    return asked, known


async def _finish(session: AsyncSession, project: Project, trainee: Trainee, now: datetime) -> None:
    """Pass or fail, if that was the last answer."""
    asked = (
        await session.scalars(
            select(TrainingQuestion).where(
                TrainingQuestion.project_id == trainee.project_id,
                TrainingQuestion.earner_id == trainee.earner_id,
                TrainingQuestion.attempt == trainee.attempt,
            )
        )
    ).all()
    scores = [each.score for each in asked if each.score is not None]
    if len(scores) < len(asked):
        return
    needed = (await session.get_one(Training, project.id)).right_needed
    if sum(score >= training.RIGHT_FROM for score in scores) < needed:
        training.fail(trainee, now)
    else:
        trainee.state, trainee.passed_at = TraineeState.PASSED, now
        await _let_in(session, trainee, now)
        await approved.earn(session, [_earned(project, each) for each in asked])
    await session.flush()


async def _let_in(session: AsyncSession, trainee: Trainee, now: datetime) -> None:
    await session.execute(
        insert(Standing)
        .values(
            project_id=trainee.project_id,
            earner_id=trainee.earner_id,
            gold_chance=NEWCOMER_GOLD_CHANCE,
            trained_at=now,
        )
        .on_conflict_do_update(
            index_elements=[Standing.project_id, Standing.earner_id], set_={"trained_at": now}
        )
    )


def _earned(project: Project, asked: TrainingQuestion) -> Expected:
    return Expected(
        project_id=project.id,
        lease_id=asked.id,
        task_id=asked.task_id,
        earner_id=asked.earner_id,
        currency=project.currency,
        amount_micro=project.price_micro,
        fee_micro=project.fee_micro,
    )
