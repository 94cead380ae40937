"""Deciding: score gold, update trust, aggregate, and accept, ask again, or send to review.

One call judges a handful of tasks in one transaction. It is a function of the stored answers, so
it may run any number of times and at the same moment elsewhere; what is already decided stays
decided. It pays nobody; it says which earnings are approved.

Locks, in this order, so that no two calls deadlock: tasks by id, new answers to gold by lease,
trust by earner. From then on nothing waits for a row that another call may hold.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queue
from tessera.assignment.models import Answer, Outcome, Standing, Task, TaskState, Verdict
from tessera.earnings import service as earnings
from tessera.earnings.models import Earning
from tessera.kernel import db
from tessera.kinds import Kind, Opinion, Question, kind_of
from tessera.projects.models import Project, ProjectState
from tessera.projects.policies import Quality
from tessera.quality import judge
from tessera.quality.models import Gold, TrustRecord
from tessera.quality.questions import questions_of
from tessera.quality.trust import NEWCOMER

BROKEN_REPORTS = 2
"""So many independent reports that a task is broken send it to a person."""
LEAST_TRUST, MOST_TRUST = 0.01, 0.99
BLOCKED = "below-minimum-trust"


@dataclass(frozen=True)
class _Bench:
    """Everything that judging some tasks of one project needs, read once."""

    project: Project
    kind: Kind
    policy: Quality
    questions: Mapping[UUID, Question]
    answers: Mapping[UUID, list[Answer]]
    """By task, rejected ones too."""
    trust: Mapping[UUID, float]
    blocked: Mapping[UUID, str]
    """Earners who may not go on, and why."""


async def settle(
    session: AsyncSession,
    *,
    project_id: UUID,
    task_ids: Sequence[UUID],
    lease_ids: Sequence[UUID] | None = None,
) -> None:
    """Judge the new answers to some tasks, and settle the tasks that can be.

    Args:
        lease_ids: Of the new answers. Without them gold is searched for whatever has no score; it
            has hundreds of answers, so that costs more with each.
    """
    tasks = await _locked(session, project_id, task_ids)
    gold = await _gold(session, project_id, task_ids)
    project = await session.get_one(Project, project_id)
    theirs = Answer.task_id.in_(list(gold)) if lease_ids is None else Answer.lease_id.in_(lease_ids)
    to_gold = await _unjudged(session, project_id, theirs) if gold else {}
    questions = await questions_of(session, project, task_ids)
    await judge.score_gold(
        session,
        project,
        {each: to_gold.get(task_id, []) for task_id, each in gold.items()},
        questions,
    )
    to_tasks = await _answers(session, project_id, [task.id for task in tasks])
    bench = await _bench(session, project, questions, {**to_gold, **to_tasks})
    await _reject_blocked(session, bench)
    for task in tasks:
        if task.state is TaskState.SETTLED:
            await _accept(session, bench, task)
        elif task.state is TaskState.OPEN:
            await _decide(session, bench, task)


async def settle_by_hand(
    session: AsyncSession, task: Task, *, label: dict[str, object] | None
) -> None:
    """Settle a task as a reviewer decided; without a label it stays out of datasets."""
    project = await session.get_one(Project, task.project_id)
    answers = await _answers(session, project.id, [task.id])
    questions = await questions_of(session, project, [task.id])
    bench = await _bench(session, project, questions, answers)
    await _reject_blocked(session, bench)
    await _settle(session, bench, task, label, confidence=1.0, by="review")


async def _decide(session: AsyncSession, bench: _Bench, task: Task) -> None:
    answers = bench.answers.get(task.id, [])
    valid = [
        each
        for each in answers
        if each.verdict is not Verdict.REJECTED and each.earner_id not in bench.blocked
    ]
    opinions = [_opinion(bench, each) for each in valid if each.outcome is Outcome.ANSWERED]
    underway = task.places_used - len(answers)
    missing = bench.policy.min_overlap - len(opinions) - underway
    if sum(each.outcome is Outcome.BROKEN for each in valid) >= BROKEN_REPORTS:
        await _to_review(session, task, "broken")
    elif missing > 0:
        await _ask_again(session, bench, task, missing, underway, "too-few-answers")
    elif len(opinions) >= bench.policy.min_overlap:
        await _aggregate(session, bench, task, opinions, underway)


async def _aggregate(
    session: AsyncSession, bench: _Bench, task: Task, opinions: Sequence[Opinion], underway: int
) -> None:
    # in a thread: outlines take their time, and this worker's other jobs and heartbeats go on
    outcome = await asyncio.to_thread(
        bench.kind.aggregate,
        opinions,
        bench.questions[task.id],
        target_confidence=bench.policy.target_confidence,
    )
    if outcome.decided:
        await _settle(
            session, bench, task, outcome.label, confidence=outcome.confidence, by="consensus"
        )
    elif underway == 0:
        # if it comes to a review, the best guess is what the reviewer sees first
        task.label, task.confidence = outcome.label, outcome.confidence
        more = int(len(opinions) < bench.policy.max_overlap)
        await _ask_again(session, bench, task, more, underway, "no-agreement")


async def _ask_again(
    session: AsyncSession, bench: _Bench, task: Task, count: int, underway: int, otherwise: str
) -> None:
    """Queue further places, or send the task to review if none are left and none are out."""
    if bench.project.state is ProjectState.COMPLETED:
        return  # nobody is asked any more
    if await queue.add_places(session, task, count) == 0 and underway == 0:
        await _to_review(session, task, otherwise)


def _opinion(bench: _Bench, answer: Answer) -> Opinion:
    trust = bench.trust.get(answer.earner_id, NEWCOMER.mean)
    return Opinion(
        earner=str(answer.earner_id),
        answer=answer.value or {},
        trust=min(max(trust, LEAST_TRUST), MOST_TRUST),
    )


async def _settle(
    session: AsyncSession,
    bench: _Bench,
    task: Task,
    label: dict[str, object] | None,
    *,
    confidence: float,
    by: str,
) -> None:
    task.state = TaskState.SETTLED
    task.label, task.confidence, task.settled_by = label, confidence, by
    task.settled_at = func.now()
    task.review_reason = None
    await session.flush()
    await queue.withdraw(session, task.project_id, [task.id])
    await _accept(session, bench, task)


async def _accept(session: AsyncSession, bench: _Bench, task: Task) -> None:
    """Accept what is pending on a settled task, and some of the same earners' gold."""
    pending = [each for each in bench.answers.get(task.id, []) if each.verdict is Verdict.PENDING]
    for each in pending:
        each.verdict = Verdict.ACCEPTED
        if each.value is not None and task.label is not None:
            each.agreement = await asyncio.to_thread(
                bench.kind.score, each.value, task.label, bench.questions[task.id]
            )
    gold = await _gold_answers(session, task.project_id, [each.earner_id for each in pending])
    await session.execute(
        update(Answer)
        .where(Answer.project_id == task.project_id, Answer.lease_id.in_(gold))
        .values(verdict=Verdict.ACCEPTED)
        .execution_options(synchronize_session=False)
    )
    lease_ids = [*(each.lease_id for each in pending), *gold]
    await session.flush()
    await earnings.approve(session, _of_leases(task.project_id, lease_ids), skip_locked=True)


async def _gold_answers(
    session: AsyncSession, project_id: UUID, earner_ids: Sequence[UUID]
) -> Sequence[UUID]:
    """Answers of some earners to gold tasks that are decided now, locked.

    Each is decided together with one of its earner's ordinary answers, drawn at random: whose were
    always the first to be decided would be known.

    They are not under the lock of the task that is being settled. SKIP LOCKED: whoever has one
    locked is accepting or scoring it, and waiting for them here could be a deadlock.
    """
    drawn = await session.scalars(
        _DRAWN, {"project_id": project_id, "earner_ids": list(earner_ids)}
    )
    gold = select(Answer.lease_id).where(
        Answer.project_id == project_id, Answer.lease_id.in_(drawn.all()), judge.IS_PENDING
    )
    gold = gold.order_by(Answer.lease_id)
    return (await session.scalars(db.locking(gold, skip_locked=True))).all()


# The answer that is being decided counts as one, besides those that wait; of very many that wait,
# some are enough to go by. The dice are thrown below the WHERE, or one throw would do for all gold.
_DRAWN = text(
    """
    SELECT lease_id FROM (
      SELECT gold.lease_id, waiting.ordinary, random() AS dice
      FROM unnest(CAST(:earner_ids AS uuid[])) AS earner (id), LATERAL (
        SELECT count(*) FILTER (WHERE NOT is_gold) + 1 AS ordinary,
               array_agg(lease_id) FILTER (WHERE is_gold) AS gold_ids
        FROM (
          SELECT answers.lease_id, tasks.is_gold FROM answers
          JOIN tasks ON tasks.project_id = answers.project_id AND tasks.id = answers.task_id
          WHERE answers.project_id = :project_id AND answers.earner_id = earner.id
            AND answers.verdict = 'pending'
          LIMIT 1000
        ) AS seen
      ) AS waiting, unnest(waiting.gold_ids) AS gold (lease_id)
    ) AS thrown
    WHERE dice * ordinary < 1
    """
)


async def _reject_blocked(session: AsyncSession, bench: _Bench) -> None:
    """Reject what blocked earners have pending; what was approved before stays theirs."""
    for earner_id, reason in sorted(bench.blocked.items()):
        pending = [
            each
            for some in bench.answers.values()
            for each in some
            if each.earner_id == earner_id and each.verdict is Verdict.PENDING
        ]
        rejected = await earnings.reject(
            session,
            _of_leases(bench.project.id, [each.lease_id for each in pending]),
            code=BLOCKED,
            reason=reason,
        )
        for each in pending:
            each.verdict = Verdict.REJECTED if each.lease_id in rejected else Verdict.ACCEPTED
    await session.flush()


def _of_leases(project_id: UUID, lease_ids: Sequence[UUID]) -> ColumnElement[bool]:
    return (Earning.project_id == project_id) & Earning.lease_id.in_(lease_ids)


async def _to_review(session: AsyncSession, task: Task, reason: str) -> None:
    task.state, task.review_reason = TaskState.REVIEW, reason
    await session.flush()
    await queue.withdraw(session, task.project_id, [task.id])


async def _locked(
    session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]
) -> Sequence[Task]:
    """The tasks that are not gold. Settling changes no gold task, and many people share each."""
    one_by_one = (
        select(Task)
        .where(Task.project_id == project_id, Task.id.in_(task_ids), ~Task.is_gold)
        .order_by(Task.id)
    )
    return (await session.scalars(db.locking(one_by_one))).all()


async def _gold(
    session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]
) -> dict[UUID, Gold]:
    rows = await session.scalars(
        select(Gold).where(Gold.project_id == project_id, Gold.task_id.in_(task_ids))
    )
    return {gold.task_id: gold for gold in rows}


async def _unjudged(
    session: AsyncSession, project_id: UUID, theirs: ColumnElement[bool]
) -> dict[UUID, list[Answer]]:
    """Of some answers those to gold that have no score, or are a blocked earner's; locked.

    Not those from before it was gold: the label is partly their own.
    """
    blocked = select(Standing.earner_id).where(
        Standing.project_id == project_id, Standing.blocked_at.is_not(None)
    )
    to_gold = exists().where(Gold.project_id == project_id, Gold.task_id == Answer.task_id)
    new = _answers_of(project_id, theirs).where(
        (Answer.score.is_(None) & to_gold.where(Gold.created_at < Answer.answered_at))
        | (judge.IS_PENDING & to_gold & Answer.earner_id.in_(blocked))
    )
    return _by_task((await session.scalars(db.locking(new))).all())


async def _answers(
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


async def _bench(
    session: AsyncSession,
    project: Project,
    questions: Mapping[UUID, Question],
    answers: Mapping[UUID, list[Answer]],
) -> _Bench:
    earners = {each.earner_id for some in answers.values() for each in some}
    trust = await session.execute(
        select(
            TrustRecord.earner_id, TrustRecord.alpha / (TrustRecord.alpha + TrustRecord.beta)
        ).where(TrustRecord.project_id == project.id, TrustRecord.earner_id.in_(earners))
    )
    blocked = await session.execute(
        select(Standing.earner_id, Standing.reason).where(
            Standing.project_id == project.id,
            Standing.earner_id.in_(earners),
            Standing.blocked_at.is_not(None),
        )
    )
    return _Bench(
        project=project,
        kind=kind_of(project.kind),
        policy=Quality(**project.quality),
        questions=questions,
        answers=answers,
        trust=dict(trust.all()),
        blocked={earner_id: reason or "" for earner_id, reason in blocked},
    )
