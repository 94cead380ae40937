"""Everything that judging some tasks of one project needs, read once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queue
from tessera.assignment.models import Answer, Lease, Standing, Task
from tessera.kernel import db
from tessera.kinds import Kind, Question, kind_of
from tessera.projects.models import Project
from tessera.projects.policies import Quality
from tessera.quality.belief import Belief, Earner, belief_of
from tessera.quality.models import Gold, Retired, TrustRecord

_IS_RIGHT = Gold.retired_reason.is_distinct_from(Retired.WRONG)


@dataclass(frozen=True)
class Case:
    project: Project
    kind: Kind
    policy: Quality
    target: float
    """Confidence from which nobody else is asked."""
    questions: Mapping[UUID, Question]
    answers: Mapping[UUID, list[Answer]]
    """By task, rejected ones too."""
    underway: Mapping[UUID, int]
    """Of tasks that were asked anew, or doubted: answers that may still come."""
    stale: Collection[UUID]
    """Leases from before a task was asked anew: their answers are paid, but do not count."""
    belief: Belief | None
    """What is known of the crowd, if the project asks for a choice and there is an estimate."""
    trust: Mapping[UUID, float]
    known_of: Mapping[str, Earner]
    """By earner, as opinions name them."""
    blocked: Mapping[UUID, str]
    """Earners who may not go on, and why."""


async def underway_of(session: AsyncSession, tasks: Sequence[Task]) -> dict[UUID, int]:
    """Of tasks that were settled before: places in the queue or leased. Others were withdrawn.

    Read before the answers: whoever answers meanwhile counts twice, and is judged by a later call.
    """
    anew = [task for task in tasks if task.reopened_at is not None or task.doubted_at is not None]
    if not anew:
        return {}
    return await queue.underway(session, anew[0].project_id, [task.id for task in anew])


async def _stale(session: AsyncSession, project_id: UUID, anew: Sequence[UUID]) -> Collection[UUID]:
    if not anew:
        return ()
    before = await session.scalars(
        select(Lease.id)
        .join(Task, (Task.project_id == Lease.project_id) & (Task.id == Lease.task_id))
        .where(
            Lease.project_id == project_id,
            Lease.task_id.in_(anew),
            Lease.leased_at < Task.reopened_at,
        )
    )
    return frozenset(before)


async def gold_of(
    session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]
) -> dict[UUID, Gold]:
    rows = await session.scalars(
        select(Gold).where(Gold.project_id == project_id, Gold.task_id.in_(task_ids), _IS_RIGHT)
    )
    return {gold.task_id: gold for gold in rows}


async def unjudged(
    session: AsyncSession, project_id: UUID, theirs: ColumnElement[bool]
) -> dict[UUID, list[Answer]]:
    """Of some answers those to gold that have no score; locked.

    Not those from before it was gold: the label is partly their own.
    """
    since = exists().where(
        Gold.project_id == project_id,
        Gold.task_id == Answer.task_id,
        Gold.created_at < Answer.answered_at,
        _IS_RIGHT,
    )
    new = _answers_of(project_id, theirs).where(Answer.score.is_(None), since)
    return _by_task((await session.scalars(db.locking(new))).all())


async def answers_to(
    session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]
) -> dict[UUID, list[Answer]]:
    """All answers to tasks; who holds a task's lock is the only one to judge them."""
    every = _answers_of(project_id, Answer.task_id.in_(task_ids))
    every = every.execution_options(populate_existing=True)
    return _by_task((await session.scalars(every)).all())


def _answers_of(project_id: UUID, theirs: ColumnElement[bool]) -> Select[Answer]:
    return select(Answer).where(Answer.project_id == project_id, theirs).order_by(Answer.lease_id)


def _by_task(answers: Sequence[Answer]) -> dict[UUID, list[Answer]]:
    by_task: dict[UUID, list[Answer]] = {}
    for each in answers:
        by_task.setdefault(each.task_id, []).append(each)
    return by_task


async def case_of(
    session: AsyncSession,
    project: Project,
    questions: Mapping[UUID, Question],
    answers: Mapping[UUID, list[Answer]],
    underway: Mapping[UUID, int],
) -> Case:
    """Read what else it takes to judge some tasks.

    Args:
        underway: What `underway_of` these tasks said, before their answers were read.
    """
    earners = {each.earner_id for some in answers.values() for each in some}
    trust = (
        await session.execute(
            select(
                TrustRecord.earner_id,
                TrustRecord.alpha / (TrustRecord.alpha + TrustRecord.beta),
                TrustRecord.seen,
                TrustRecord.counts,
                TrustRecord.others,
            ).where(TrustRecord.project_id == project.id, TrustRecord.earner_id.in_(earners))
        )
    ).all()
    blocked = await session.execute(
        select(Standing.earner_id, Standing.reason).where(
            Standing.project_id == project.id,
            Standing.earner_id.in_(earners),
            Standing.blocked_at.is_not(None),
        )
    )
    policy = Quality(**project.quality)
    return Case(
        project=project,
        kind=kind_of(project.kind),
        policy=policy,
        target=policy.target(project.price_micro + project.fee_micro),
        questions=questions,
        answers=answers,
        underway=underway,
        stale=await _stale(session, project.id, list(underway)),
        belief=await belief_of(session, project),
        trust={earner_id: mean for earner_id, mean, _, _, _ in trust},
        known_of={
            str(earner_id): Earner(seen, counts, others)
            for earner_id, _, seen, counts, others in trust
        },
        blocked={earner_id: reason or "" for earner_id, reason in blocked},
    )
