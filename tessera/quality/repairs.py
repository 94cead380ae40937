"""Answers that may be corrected once, before they are rejected.

All of them are decided by a sweep, when they were corrected or when their time is over: gold and
others alike, so that the moment tells nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Standing, Task, TaskState
from tessera.assignment.questions import questions_of
from tessera.decisions import service as decisions
from tessera.decisions.models import Decision, Effect
from tessera.images.models import Tile
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.kinds import Label, kind_of
from tessera.projects.models import Project
from tessera.quality import judge
from tessera.quality.case import gold_of
from tessera.quality.errors import AlreadyRepaired, RepairOver
from tessera.quality.verdicts import CERTAIN, WRONG_BELOW, Wrong, accept, refuse

MOST = 50
"""That an earner is shown at once; also decided in one transaction."""


@dataclass(frozen=True)
class Repair:
    """An answer that its earner may correct, as it was asked and as they gave it."""

    lease_id: UUID
    project_id: UUID
    kind: str
    key: str
    """Of the tile's picture, in the store."""
    content_type: str
    width: int
    height: int
    subject: dict[str, Any] | None
    answer: dict[str, Any] | None
    reason: str
    until: datetime


async def mine(session: AsyncSession, *, earner_id: UUID, every: timedelta) -> Sequence[Repair]:
    """What an earner may correct now, the most urgent first."""
    offered = (
        select(
            Answer.lease_id,
            Answer.project_id,
            Project.kind,
            Tile.key,
            Tile.content_type,
            (Tile.window_right - Tile.window_left).label("width"),
            (Tile.window_bottom - Tile.window_top).label("height"),
            Task.subject,
            Answer.value.label("answer"),
            Decision.reason,
            Answer.repair_until.label("until"),
        )
        .join(
            Answer,
            (Answer.project_id == Decision.project_id) & (Answer.lease_id == Decision.lease_id),
        )
        .join(Task, (Task.project_id == Answer.project_id) & (Task.id == Answer.task_id))
        .join(Tile, Tile.id == Task.tile_id)
        .join(Project, Project.id == Answer.project_id)
        .where(
            Decision.earner_id == earner_id,
            Decision.effect == Effect.REPAIR,
            decisions.told(every),
            judge.IS_PENDING,
            Answer.repaired_at.is_(None),
            Answer.repair_until > func.now(),
        )
        .order_by(Answer.repair_until, Answer.lease_id)
        .limit(MOST)
    )
    return [Repair(**row._asdict()) for row in await session.execute(offered)]


async def repair(
    session: AsyncSession,
    lease_id: UUID,
    *,
    earner_id: UUID,
    every: timedelta,
    value: Mapping[str, Any],
) -> bool:
    """Take a corrected answer.

    Returns:
        Whether the same had arrived before.

    Raises:
        NotFound: The earner was not asked to correct such an answer.
        InvalidAnswer: It does not fit the label schema or the tile.
        AlreadyRepaired: It was corrected otherwise before.
        RepairOver: It is too late.
    """
    offered = (
        select(Answer)
        .join(
            Decision,
            (Answer.project_id == Decision.project_id) & (Answer.lease_id == Decision.lease_id),
        )
        .where(
            Decision.earner_id == earner_id,
            Decision.lease_id == lease_id,
            Decision.effect == Effect.REPAIR,
            decisions.told(every),
        )
    )
    answer: Answer | None = await session.scalar(db.locking(offered, of=Answer))
    if answer is None:
        raise NotFound("You were not asked to correct such an answer.")
    project = await session.get_one(Project, answer.project_id)
    questions = await questions_of(session, project, [answer.task_id])
    canonical = kind_of(project.kind).validate(value, questions[answer.task_id])
    if answer.repaired_at is not None:
        if answer.value != canonical:
            raise AlreadyRepaired("You have corrected this answer before, otherwise.")
        return True
    if not await _is_open(session, answer):
        raise RepairOver("It is too late to correct this answer.")
    answer.first_value, answer.value = answer.value, canonical
    answer.repaired_at = func.now()
    await session.flush()
    return False


async def _is_open(session: AsyncSession, answer: Answer) -> bool:
    mine = (Answer.project_id == answer.project_id) & (Answer.lease_id == answer.lease_id)
    still = exists().where(mine, judge.IS_PENDING, Answer.repair_until > func.now())
    return bool(await session.scalar(select(still)))


async def decide_due(session: AsyncSession) -> int:
    """Decide answers that were corrected, or were to be and were not; returns how many."""
    over = (Answer.repaired_at.is_not(None)) | (Answer.repair_until <= func.now())
    due = (
        select(Answer)
        .where(Answer.repair_until.is_not(None), judge.IS_PENDING, over)
        .order_by(Answer.repair_until)
        .limit(MOST)
    )
    answers = (await session.scalars(db.locking(due, skip_locked=True))).all()
    for project_id in sorted({each.project_id for each in answers}):
        theirs = [each for each in answers if each.project_id == project_id]
        await _decide(session, await session.get_one(Project, project_id), theirs)
    return len(answers)


async def _decide(session: AsyncSession, project: Project, answers: Sequence[Answer]) -> None:
    task_ids = [each.task_id for each in answers]
    tasks = select(Task.id, Task.label).where(
        Task.project_id == project.id,
        Task.id.in_(task_ids),
        Task.state == TaskState.SETTLED,
        Task.confidence >= CERTAIN,
    )
    labels: dict[UUID, Label | None] = dict((await session.execute(tasks)).all())
    gold = await gold_of(session, project.id, task_ids)
    labels |= {task_id: each.expected for task_id, each in gold.items()}
    questions = await questions_of(session, project, task_ids)
    kind, wrong, right = kind_of(project.kind), [], []
    stopped = await session.scalars(
        select(Standing.earner_id).where(
            Standing.project_id == project.id,
            Standing.earner_id.in_([each.earner_id for each in answers]),
            Standing.blocked_at.is_not(None),
        )
    )
    still = frozenset(stopped)
    for each in answers:
        label, question = labels.get(each.task_id), questions[each.task_id]
        # what it was compared with is gone, or its earner may go on: nothing speaks against it
        agreement = 1.0
        if label is not None and each.value is not None:
            agreement = await asyncio.to_thread(kind.score, each.value, label, question)
            each.agreement = agreement if each.task_id not in gold else each.agreement
        if label is not None and agreement < WRONG_BELOW and each.earner_id in still:
            wrong.append(Wrong(each, label, agreement, question))
        else:
            right.append(each)
    await accept(session, project.id, right)
    await refuse(session, project, wrong)
