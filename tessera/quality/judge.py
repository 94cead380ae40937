"""What gold says of people: scores, trust, and who may go on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, exists, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Standing
from tessera.decisions import service as decisions
from tessera.decisions.models import Rule
from tessera.kernel import db, jobs
from tessera.kinds import Kind, Label, Objects, Question, kind_of, parsed
from tessera.kinds.choice import choice_of
from tessera.projects.models import Project
from tessera.projects.policies import Quality
from tessera.quality import notices, strong
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
    unsure_score,
)
from tessera.truth.response import Step

CHUNK = 50
RATED_BY = frozenset({"gold_share", "minimum_trust"})
"""Fields of the quality policy that decide who may go on, and how often they meet gold."""
LEAST_GOLD = 0.01
WATCHED_GOLD = 0.3
"""Chance of gold at least, for those whose answers are unusual (`truth.response`)."""
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
    unsure = unsure_score(Quality(**project.quality).minimum_trust, chance=_chance(project))
    scores: dict[UUID, list[Scored]] = {}
    lessons: dict[UUID, list[Lesson]] = {}
    for gold, given in answers.items():
        for each in given:
            if each.score is None:
                each.score = (
                    unsure
                    if each.value is None
                    else await asyncio.to_thread(
                        kind.score, each.value, gold.expected, questions[gold.task_id]
                    )
                )
                scored = Scored(each.answered_at, each.score, said=each.value is not None)
                scores.setdefault(each.earner_id, []).append(scored)
                if each.value is not None:
                    learnt = await _lesson(kind, belief, gold, each.value, questions[gold.task_id])
                    lessons.setdefault(each.earner_id, []).extend(learnt)
    if not scores:
        return
    await session.flush()
    records = await locked_records(session, project.id, sorted(scores))
    # read under the locks: the minimum trust may have been edited, and everybody rated again
    await session.refresh(project, ["quality"])
    for record in records:
        for lesson in lessons.get(record.earner_id, ()):
            record.counts = lesson(record.counts)
        since = record.forgiven_at
        new = [e for e in scores[record.earner_id] if since is None or e.answered_at > since]
        await _learn(session, project, record, new)


class Scored(NamedTuple):
    answered_at: datetime
    score: float
    said: bool


def _chance(project: Project) -> float:
    """How often a blind guess is right; of what is drawn, never."""
    schema = parsed(project.label_schema)
    choice = choice_of(project.kind, schema)
    choices = None if choice is None else choice.choices(schema)
    return 1 / len(choices) if choices else 0.0


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
    session: AsyncSession, project: Project, record: TrustRecord, scores: Sequence[Scored]
) -> None:
    trust = record.trust
    for each in scores:
        trust = trust.updated(each.score, said=each.said)
    record.alpha, record.beta = trust.alpha, trust.beta
    record.seen, record.missed, record.unsure = trust.seen, trust.missed, trust.unsure
    before = NEWCOMER.mean if record.told_mean is None else record.told_mean
    if trust.seen >= ENOUGH_GOLD and before - trust.mean >= notices.FALLEN:
        await decisions.note(session, [notices.lowered(project, record, trust, before)])
        record.told_mean, record.told_at = trust.mean, func.now()
    elif record.told_mean is None or trust.mean > record.told_mean:
        record.told_mean = trust.mean
    await session.flush()
    await session.refresh(record, ["told_at"])
    # whatever was on its way when they were blocked
    await rate(session, project, record, may_unblock=False)


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
        await rate(session, project, record, may_unblock=True)
    return records[-1].earner_id if len(records) == limit else None


async def rate(
    session: AsyncSession,
    project: Project,
    record: TrustRecord,
    *,
    may_unblock: bool,
    rule: Rule = Rule.POLICY_CHANGED,
) -> None:
    """Have the standing of an earner follow from their trust, under the record's lock.

    Args:
        rule: By which they are let back, if they are.
    """
    trust, policy = record.trust, Quality(**project.quality)
    minimum = policy.minimum_trust
    blocked = rating(trust, minimum_trust=minimum) is Rating.BLOCKED
    if blocked:  # seldom: then what the others can is looked at, too
        better = None if project.kind == "verify" else await _better(session, project.id)
        minimum = bar(minimum, better=better)  # who accepts everything is right half of the time
        blocked = rating(trust, minimum_trust=minimum) is Rating.BLOCKED
    theirs = select(Standing).where(
        Standing.project_id == project.id, Standing.earner_id == record.earner_id
    )
    standing: Standing | None = await session.scalar(db.locking(theirs))
    if standing is None:
        return
    standing.gold_chance = _gold_chance(trust, policy, standing.step)
    standing.strengths = strong.strengths_of(record, await belief_of(session, project))
    if blocked and standing.blocked_at is None:
        reason = explain(trust, minimum_trust=minimum)
        await decisions.note(session, [notices.stopped(project, record, trust, minimum, reason)])
        await stop(session, standing, reason=reason)
    elif (
        may_unblock
        and not blocked
        and standing.blocked_at is not None
        and standing.stopped_by is None
    ):
        await decisions.note(session, [notices.restored(project, record, trust, minimum, rule)])
        standing.blocked_at = standing.reason = None
    await session.flush()


async def stop(
    session: AsyncSession, standing: Standing, *, reason: str, by: UUID | None = None
) -> None:
    """Give an earner no more tasks of a project; others are asked what they were asked."""
    standing.blocked_at, standing.reason, standing.stopped_by = func.now(), reason, by
    await session.flush()
    await jobs.enqueue(
        session,
        "quality.ask_others",
        payload={"project_id": str(standing.project_id), "earner_id": str(standing.earner_id)},
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


def _gold_chance(trust: Trust, policy: Quality, step: int) -> float:
    # never none: who meets no gold is never judged again, whatever the operator changes later
    share = max(policy.gold_share, LEAST_GOLD)
    chance = gold_share(trust, base_share=share, minimum_trust=policy.minimum_trust)
    return max(chance, WATCHED_GOLD) if step >= Step.MORE_GOLD else chance


async def locked_records(
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


async def ask_others(session: AsyncSession, *, project_id: UUID, earner_id: UUID) -> None:
    """Have every task judged again on which a stopped earner's answer is still pending.

    It counts no longer, and somebody else is asked instead.
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
