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

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queue, stages
from tessera.assignment.models import Answer, Outcome, Task, TaskState, Verdict
from tessera.assignment.questions import questions_of
from tessera.kernel import db, jobs
from tessera.kinds import Objects, Opinion, chained
from tessera.kinds import Outcome as KindOutcome
from tessera.projects.models import Project, ProjectState
from tessera.quality import breaker, judge, verdicts
from tessera.quality.belief import NEW
from tessera.quality.case import Case, answers_to, case_of, gold_of, underway_of, unjudged
from tessera.quality.drawn import skill_of
from tessera.quality.trust import MISSED_BELOW, NEWCOMER
from tessera.truth.strengths import EVERYTHING

BROKEN_REPORTS = 2
"""So many independent reports that a task is broken send it to a person."""
DECIDED_BY = frozenset({"target_confidence", "wrong_label_micro"})
"""Fields of the quality policy that decide when a task is settled."""
LEAST_TRUST, MOST_TRUST = 0.01, 0.99
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
    if misses := [task_id for task_id in to_gold if _is_odd(to_gold[task_id])]:
        await jobs.enqueue(
            session,
            "quality.doubt_gold",
            payload={"project_id": str(project_id), "task_ids": [str(each) for each in misses]},
        )
    to_tasks = await answers_to(session, project_id, [task.id for task in tasks])
    case = await case_of(session, project, questions, {**to_gold, **to_tasks}, underway)
    undecided = [task for task in tasks if task.state is TaskState.OPEN]
    for task in tasks:
        if task.state in {TaskState.SETTLED, TaskState.RETURNED}:
            await verdicts.decide(session, case, task)
        elif task.state is TaskState.OPEN:
            await _decide(session, case, task)
    await stages.changed(session, project, undecided)


def _is_odd(answers: Sequence[Answer]) -> bool:
    """Whether any of them speaks against the gold as much as against who gave it."""
    return any(
        each.outcome is Outcome.BROKEN
        or (each.value is not None and each.score is not None and each.score < MISSED_BELOW)
        for each in answers
    )


async def decide_again(
    session: AsyncSession, *, project_id: UUID, after: UUID | None, limit: int
) -> UUID | None:
    """Decide tasks that wait for more answers, or for a reviewer, as an edited policy has it.

    Those that are settled stay so: what was good enough then is not taken back.

    Returns:
        The last of them, after which to go on; none if there are no more.
    """
    answered = exists().where(Answer.project_id == project_id, Answer.task_id == Task.id)
    waits = (Task.state == TaskState.OPEN) | (
        (Task.state == TaskState.REVIEW) & (Task.review_reason == NO_AGREEMENT)
    )
    some = select(Task.id).where(Task.project_id == project_id, ~Task.is_gold, waits, answered)
    if after is not None:
        some = some.where(Task.id > after)
    task_ids = (await session.scalars(some.order_by(Task.id).limit(limit))).all()
    project = await session.get_one(Project, project_id)
    if not task_ids or project.state is ProjectState.COMPLETED:
        return None
    tasks = await locked(session, project_id, task_ids)
    underway = await underway_of(session, tasks)
    questions = await questions_of(session, project, task_ids)
    answers = await answers_to(session, project_id, task_ids)
    case = await case_of(session, project, questions, answers, underway)
    undecided = [task for task in tasks if task.state in {TaskState.OPEN, TaskState.REVIEW}]
    for task in undecided:
        if task.state is TaskState.OPEN or task.review_reason == NO_AGREEMENT:
            task.state, task.review_reason = TaskState.OPEN, None
            await _decide(session, case, task)
    await stages.changed(session, project, undecided)
    return task_ids[-1] if len(task_ids) == limit else None


async def settle_by_hand(
    session: AsyncSession, task: Task, *, label: dict[str, object] | None
) -> None:
    """Settle a task as a reviewer decided; without a label it stays out of datasets."""
    project = await session.get_one(Project, task.project_id)
    answers = await answers_to(session, project.id, [task.id])
    questions = await questions_of(session, project, [task.id])
    case = await case_of(session, project, questions, answers, await underway_of(session, [task]))
    await settle_task(session, case, task, label, confidence=1.0, by="review")
    await stages.changed(session, project, [task])


async def _decide(session: AsyncSession, case: Case, task: Task) -> None:
    answers, valid = case.answers.get(task.id, []), _valid(case, task)
    opinions = opinions_of(case, task)
    underway = case.underway.get(task.id, task.places_used - len(answers))
    missing = case.policy.min_overlap - len(opinions) - underway
    if sum(each.outcome is Outcome.BROKEN for each in valid) >= BROKEN_REPORTS:
        await _to_review(session, task, breaker.BROKEN)
        await breaker.tripped(session, case.project, answers)
    elif missing > 0:
        unsure = any(each.outcome is Outcome.NOT_SURE for each in valid)
        hard = queue.Hard([EVERYTHING], gain=1.0) if unsure else None
        await ask_again(session, case, task, missing, underway, "too-few-answers", hard)
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
        hard = hard_of(case, opinions, outcome.confidence)
        await ask_again(session, case, task, more, underway, NO_AGREEMENT, hard)


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


def hard_of(case: Case, opinions: Sequence[Opinion], confidence: float) -> queue.Hard:
    """Whom to ask first about what opinions do not agree on, and how much that would tell."""
    if case.belief is None:
        return queue.Hard([EVERYTHING], gain=1 - confidence)
    return case.belief.hard(opinions, case.known_of)


async def ask_again(
    session: AsyncSession,
    case: Case,
    task: Task,
    count: int,
    underway: int,
    otherwise: str,
    hard: queue.Hard | None,
) -> None:
    """Queue further places, or send the task to review if none are left and none are out.

    Args:
        otherwise: Why it goes to review.
        hard: What it takes, if it is not only that answers are missing.
    """
    if case.project.state is ProjectState.COMPLETED:
        return  # nobody is asked any more
    if await queue.add_places(session, task, count, hard) == 0 and underway == 0:
        await _to_review(session, task, otherwise)


def _opinion(case: Case, answer: Answer) -> Opinion:
    earner = str(answer.earner_id)
    mean = case.trust.get(answer.earner_id, NEWCOMER.mean)
    trust, known = min(max(mean, LEAST_TRUST), MOST_TRUST), case.known_of.get(earner, NEW)
    is_drawn = isinstance(case.kind, Objects)
    skill = skill_of(known.counts, trust, known.others) if is_drawn else None
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
    task.settled_at, task.policy_version = func.now(), case.project.policy_version
    task.review_reason = None
    await session.flush()
    await queue.withdraw(session, task.project_id, [task.id])
    await verdicts.decide(session, case, task)


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
