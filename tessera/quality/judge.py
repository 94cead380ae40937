"""What gold says of people: scores, trust, and who may go on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, exists, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Standing
from tessera.kernel import db, jobs
from tessera.kinds import Kind, Label, Objects, Question, kind_of
from tessera.projects.models import Project
from tessera.projects.policies import Quality
from tessera.quality.belief import Belief, belief_of
from tessera.quality.drawn import added
from tessera.quality.gold_share import gold_share
from tessera.quality.models import Gold, TrustRecord
from tessera.quality.trust import (
    BETTER,
    ENOUGH_EARNERS,
    ENOUGH_GOLD,
    NEWCOMER,
    Rating,
    Trust,
    bar,
    explain,
    rating,
)

CHUNK = 50
RATED_BY = frozenset({"gold_share", "minimum_trust"})
"""Fields of the quality policy that decide who may go on, and how often they meet gold."""
LEAST_GOLD = 0.01
UNANSWERED = 0.25
"""Score of *not sure*, or of a report, on a task whose answer is known. Honest doubt now and then
costs less than a mistake; but who never answers is not worth their pay."""
IS_PENDING: ColumnElement[bool] = literal_column("answers.verdict = 'pending'", Boolean())
"""Not as a parameter: of those a generic plan does not know that a partial index serves them."""


async def score_gold(
    session: AsyncSession,
    project: Project,
    answers: Mapping[Gold, Sequence[Answer]],
    questions: Mapping[UUID, Question],
) -> None:
    """Score answers to gold tasks that have no score yet, and let trust follow.

    Args:
        questions: By task.
    """
    if not any(answers.values()):
        return
    kind, belief = kind_of(project.kind), await belief_of(session, project)
    scores: dict[UUID, list[float]] = {}
    lessons: dict[UUID, list[Lesson]] = {}
    for gold, given in answers.items():
        for each in given:
            if each.score is None:
                each.score = (
                    UNANSWERED
                    if each.value is None
                    else await asyncio.to_thread(
                        kind.score, each.value, gold.expected, questions[gold.task_id]
                    )
                )
                scores.setdefault(each.earner_id, []).append(each.score)
                if each.value is not None:
                    learnt = await _lesson(kind, belief, gold, each.value, questions[gold.task_id])
                    lessons.setdefault(each.earner_id, []).extend(learnt)
    if not scores:
        return
    await session.flush()
    records = await _locked_records(session, project.id, sorted(scores))
    # read under the locks: the minimum trust may have been edited, and everybody rated again
    await session.refresh(project, ["quality"])
    for record in records:
        for lesson in lessons.get(record.earner_id, ()):
            record.counts = lesson(record.counts)
        await _learn(session, project, record, scores[record.earner_id])


Lesson = Callable[[Sequence[float] | None], list[float]]
"""What an answer to gold changes of `TrustRecord.counts`."""


async def _lesson(
    kind: Kind, belief: Belief | None, gold: Gold, answer: Label, question: Question
) -> list[Lesson]:
    """None or one."""
    if isinstance(kind, Objects):
        tally = await asyncio.to_thread(kind.tally, answer, gold.expected, question)
        return [partial(added, tally=tally)]
    return [] if belief is None else [partial(belief.counted, truth=gold.expected, answer=answer)]


async def _learn(
    session: AsyncSession, project: Project, record: TrustRecord, scores: Sequence[float]
) -> None:
    trust = _trust(record)
    for score in scores:
        trust = trust.updated(score)
    record.alpha, record.beta = trust.alpha, trust.beta
    record.seen, record.missed = trust.seen, trust.missed
    await session.flush()
    # whatever was on its way when they were blocked
    await _rate(session, project, record, may_unblock=False)


async def rate_again(
    session: AsyncSession, *, project_id: UUID, after: UUID | None, limit: int
) -> UUID | None:
    """Block, let back in, and show gold to earners as an edited policy says, some at a time.

    Returns:
        The last of them, after whom to go on; none if there are no more.
    """
    some = select(TrustRecord).where(TrustRecord.project_id == project_id)
    if after is not None:
        some = some.where(TrustRecord.earner_id > after)
    records = (
        await session.scalars(db.locking(some.order_by(TrustRecord.earner_id).limit(limit)))
    ).all()
    # read under the locks: of two edits, the later one holds
    project = await session.get_one(Project, project_id)
    for record in records:
        await _rate(session, project, record, may_unblock=True)
    return records[-1].earner_id if len(records) == limit else None


async def _rate(
    session: AsyncSession, project: Project, record: TrustRecord, *, may_unblock: bool
) -> None:
    """Have the standing of an earner follow from their trust, under the record's lock."""
    trust, policy = _trust(record), Quality(**project.quality)
    minimum = policy.minimum_trust
    blocked = rating(trust, minimum_trust=minimum) is Rating.BLOCKED
    if blocked:  # seldom: then what the others can is looked at, too
        better = None if project.kind == "verify" else await _better(session, project.id)
        minimum = bar(minimum, better=better)  # who accepts everything is right half of the time
        blocked = rating(trust, minimum_trust=minimum) is Rating.BLOCKED
    theirs = (Standing.project_id == project.id) & (Standing.earner_id == record.earner_id)
    if blocked or not may_unblock:  # who is blocked already keeps the reason that they have read
        theirs &= Standing.blocked_at.is_(None)
    newly_blocked = await session.scalar(
        update(Standing)
        .where(theirs)
        .values(
            gold_chance=_gold_chance(trust, policy),
            blocked_at=func.now() if blocked else None,
            reason=explain(trust, minimum_trust=minimum) if blocked else None,
        )
        .returning(Standing.blocked_at)
        .execution_options(synchronize_session=False)
    )
    if newly_blocked is not None:
        await jobs.enqueue(
            session,
            "quality.reject_blocked",
            payload={"project_id": str(project.id), "earner_id": str(record.earner_id)},
        )


async def _better(session: AsyncSession, project_id: UUID) -> float | None:
    """How far the better earners of a project are trusted, if there are enough to tell."""
    mean = TrustRecord.alpha / (TrustRecord.alpha + TrustRecord.beta)
    stopped = exists().where(
        Standing.project_id == project_id,
        Standing.earner_id == TrustRecord.earner_id,
        Standing.blocked_at.is_not(None),
    )
    judged = select(func.percentile_cont(BETTER).within_group(mean), func.count()).where(
        TrustRecord.project_id == project_id, TrustRecord.seen >= ENOUGH_GOLD, ~stopped
    )
    better, count = (await session.execute(judged)).one()
    return float(better) if count >= ENOUGH_EARNERS else None


def _trust(record: TrustRecord) -> Trust:
    return Trust(record.alpha, record.beta, record.seen, record.missed)


def _gold_chance(trust: Trust, policy: Quality) -> float:
    # never none: who meets no gold is never judged again, whatever the operator changes later
    share = max(policy.gold_share, LEAST_GOLD)
    return gold_share(trust, base_share=share, minimum_trust=policy.minimum_trust)


async def _locked_records(
    session: AsyncSession, project_id: UUID, earner_ids: Sequence[UUID]
) -> Sequence[TrustRecord]:
    """Made where missing, then locked in the order of earners, so that no two jobs deadlock."""
    await session.execute(
        insert(TrustRecord).on_conflict_do_nothing(),
        [
            {
                "project_id": project_id,
                "earner_id": earner_id,
                "alpha": NEWCOMER.alpha,
                "beta": NEWCOMER.beta,
                "seen": 0,
                "missed": 0,
            }
            for earner_id in earner_ids
        ],
    )
    locked = db.locking(
        select(TrustRecord)
        .where(TrustRecord.project_id == project_id, TrustRecord.earner_id.in_(earner_ids))
        .order_by(TrustRecord.earner_id)
    )
    return (await session.scalars(locked)).all()


async def reject_blocked(session: AsyncSession, *, project_id: UUID, earner_id: UUID) -> None:
    """Have every task judged again on which a blocked earner's answer is still pending.

    Judging rejects those answers and asks somebody else instead.
    """
    pending = (
        await session.execute(
            select(Answer.task_id, Answer.lease_id).where(
                Answer.project_id == project_id,
                Answer.earner_id == earner_id,
                IS_PENDING,
            )
        )
    ).all()
    await jobs.enqueue_many(
        session,
        "quality.settle",
        [
            {
                "project_id": str(project_id),
                "task_ids": [str(each.task_id) for each in pending[start : start + CHUNK]],
                "lease_ids": [str(each.lease_id) for each in pending[start : start + CHUNK]],
            }
            for start in range(0, len(pending), CHUNK)
        ],
    )
