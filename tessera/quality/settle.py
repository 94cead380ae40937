"""Deciding: score gold, update trust, aggregate, and accept, ask again, or send to review.

One call judges a handful of tasks in one transaction. It is a function of the stored answers, so
it may run any number of times and at the same moment elsewhere; what is already decided stays
decided. It pays nobody; it says which earnings are approved.

Locks, in this order, so that no two calls deadlock: tasks by id, new answers to gold by lease,
trust by earner. From then on nothing waits for a row that another call may hold.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queue, stages
from tessera.assignment.models import Answer, Outcome, Task, TaskState, Verdict
from tessera.assignment.questions import questions_of
from tessera.earnings import service as earnings
from tessera.earnings.models import Earning
from tessera.kernel import db
from tessera.kinds import Objects, Opinion, chained
from tessera.kinds import Outcome as KindOutcome
from tessera.projects.models import Project, ProjectState
from tessera.quality import judge
from tessera.quality.case import Case, answers_to, case_of, gold_of, underway_of, unjudged
from tessera.quality.drawn import skill_of
from tessera.quality.trust import NEWCOMER

BROKEN_REPORTS = 2
"""So many independent reports that a task is broken send it to a person."""
LEAST_TRUST, MOST_TRUST = 0.01, 0.99
BLOCKED = "below-minimum-trust"
CONSENSUS = "consensus"
NO_AGREEMENT = "no-agreement"


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
    tasks = await locked(session, project_id, task_ids)
    underway = await underway_of(session, tasks)
    gold = await gold_of(session, project_id, task_ids)
    project = await session.get_one(Project, project_id)
    theirs = Answer.task_id.in_(list(gold)) if lease_ids is None else Answer.lease_id.in_(lease_ids)
    to_gold = await unjudged(session, project_id, theirs) if gold else {}
    questions = await questions_of(session, project, task_ids)
    await judge.score_gold(
        session,
        project,
        {each: to_gold.get(task_id, []) for task_id, each in gold.items()},
        questions,
    )
    to_tasks = await answers_to(session, project_id, [task.id for task in tasks])
    case = await case_of(session, project, questions, {**to_gold, **to_tasks}, underway)
    await _reject_blocked(session, case)
    undecided = [task for task in tasks if task.state is TaskState.OPEN]
    for task in tasks:
        if task.state in {TaskState.SETTLED, TaskState.RETURNED}:
            await _accept(session, case, task)
        elif task.state is TaskState.OPEN:
            await _decide(session, case, task)
    await stages.changed(session, project, undecided)


async def settle_by_hand(
    session: AsyncSession, task: Task, *, label: dict[str, object] | None
) -> None:
    """Settle a task as a reviewer decided; without a label it stays out of datasets."""
    project = await session.get_one(Project, task.project_id)
    answers = await answers_to(session, project.id, [task.id])
    questions = await questions_of(session, project, [task.id])
    case = await case_of(session, project, questions, answers, await underway_of(session, [task]))
    await _reject_blocked(session, case)
    await settle_task(session, case, task, label, confidence=1.0, by="review")
    await stages.changed(session, project, [task])


async def _decide(session: AsyncSession, case: Case, task: Task) -> None:
    answers, valid = case.answers.get(task.id, []), _valid(case, task)
    opinions = opinions_of(case, task)
    underway = case.underway.get(task.id, task.places_used - len(answers))
    missing = case.policy.min_overlap - len(opinions) - underway
    if sum(each.outcome is Outcome.BROKEN for each in valid) >= BROKEN_REPORTS:
        await _to_review(session, task, "broken")
    elif missing > 0:
        await ask_again(session, case, task, missing, underway, "too-few-answers")
    elif len(opinions) >= case.policy.min_overlap:
        await _aggregate(session, case, task, opinions, underway)


async def _aggregate(
    session: AsyncSession, case: Case, task: Task, opinions: Sequence[Opinion], underway: int
) -> None:
    asked = task.doubted_at is None
    outcome = await outcome_of(case, task, opinions, target_confidence=case.target, asked=asked)
    if outcome.decided:
        await settle_task(
            session, case, task, outcome.label, confidence=outcome.confidence, by=CONSENSUS
        )
    elif underway == 0:
        # if it comes to a review, the best guess is what the reviewer sees first
        task.label, task.confidence = outcome.label, outcome.confidence
        more = int(len(opinions) < case.policy.max_overlap)
        await ask_again(session, case, task, more, underway, NO_AGREEMENT)


async def outcome_of(
    case: Case,
    task: Task,
    opinions: Sequence[Opinion],
    *,
    target_confidence: float,
    asked: bool,
) -> KindOutcome:
    """What opinions come to: by what the crowd is known to confuse, where that is known.

    In a thread: outlines take their time, and this worker's other jobs and heartbeats go on.

    Args:
        asked: Whether this is while the task is asked about, or by an estimate of all answers.
    """
    if case.belief is not None:
        return await asyncio.to_thread(
            case.belief.decide,
            opinions,
            case.known_of,
            case.questions[task.id],
            target_confidence=target_confidence,
            asked=asked,
        )
    return await asyncio.to_thread(
        case.kind.aggregate,
        opinions,
        case.questions[task.id],
        target_confidence=target_confidence,
    )


def opinions_of(case: Case, task: Task) -> list[Opinion]:
    """What earners said of a task, as far as it counts."""
    answered = [each for each in _valid(case, task) if each.outcome is Outcome.ANSWERED]
    return [_opinion(case, each) for each in answered]


def _valid(case: Case, task: Task) -> list[Answer]:
    return [
        each
        for each in case.answers.get(task.id, [])
        if each.verdict is not Verdict.REJECTED
        and each.earner_id not in case.blocked
        and each.lease_id not in case.stale
    ]


async def ask_again(
    session: AsyncSession, case: Case, task: Task, count: int, underway: int, otherwise: str
) -> None:
    """Queue further places, or send the task to review if none are left and none are out."""
    if case.project.state is ProjectState.COMPLETED:
        return  # nobody is asked any more
    if await queue.add_places(session, task, count) == 0 and underway == 0:
        await _to_review(session, task, otherwise)


def _opinion(case: Case, answer: Answer) -> Opinion:
    earner = str(answer.earner_id)
    mean = case.trust.get(answer.earner_id, NEWCOMER.mean)
    trust, known = min(max(mean, LEAST_TRUST), MOST_TRUST), case.known_of.get(earner)
    counts = known.counts if known is not None and isinstance(case.kind, Objects) else None
    skill = None if counts is None else skill_of(counts, trust)
    return Opinion(earner, answer.value or {}, trust, skill)


async def settle_task(
    session: AsyncSession,
    case: Case,
    task: Task,
    label: dict[str, object] | None,
    *,
    confidence: float,
    by: str,
) -> None:
    wrong = label is not None and chained.found_wrong(case.project.kind, label) is not None
    task.state = TaskState.RETURNED if wrong else TaskState.SETTLED
    task.label, task.confidence, task.settled_by = label, confidence, by
    task.settled_at = func.now()
    task.review_reason = None
    await session.flush()
    await queue.withdraw(session, task.project_id, [task.id])
    await _accept(session, case, task)


async def _accept(session: AsyncSession, case: Case, task: Task) -> None:
    """Accept what is pending on a settled task, and some of the same earners' gold."""
    pending = [each for each in case.answers.get(task.id, []) if each.verdict is Verdict.PENDING]
    for each in pending:
        each.verdict = Verdict.ACCEPTED
        if each.value is not None and task.label is not None and each.lease_id not in case.stale:
            each.agreement = await asyncio.to_thread(
                case.kind.score, each.value, task.label, case.questions[task.id]
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


async def _reject_blocked(session: AsyncSession, case: Case) -> None:
    """Reject what blocked earners have pending; what was approved before stays theirs."""
    for earner_id, reason in sorted(case.blocked.items()):
        pending = [
            each
            for some in case.answers.values()
            for each in some
            if each.earner_id == earner_id and each.verdict is Verdict.PENDING
        ]
        rejected = await earnings.reject(
            session,
            _of_leases(case.project.id, [each.lease_id for each in pending]),
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


async def locked(
    session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]
) -> Sequence[Task]:
    """The tasks that are not gold. Settling changes no gold task, and many people share each."""
    one_by_one = (
        select(Task)
        .where(Task.project_id == project_id, Task.id.in_(task_ids), ~Task.is_gold)
        .order_by(Task.id)
    )
    return (await session.scalars(db.locking(one_by_one))).all()
