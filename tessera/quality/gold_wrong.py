"""Gold that was wrong: pulled, everybody judged anew, access given back, and paid; all in one go.

Locks: the project, so that its money is not given back meanwhile; tasks by id; trust by earner.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment import queue
from tessera.assignment import tasks as task_access
from tessera.assignment.models import Answer, Task, TaskState, Verdict
from tessera.assignment.questions import questions_of
from tessera.decisions import service as decisions
from tessera.decisions.models import Rule
from tessera.kernel import db, jobs
from tessera.kinds import kind_of
from tessera.projects.models import Project
from tessera.quality import gold_views, judge, pardons, verdicts
from tessera.quality.errors import NotGold
from tessera.quality.models import Gold, GoldRepair, Retired
from tessera.quality.settle import settle_by_hand

WRONG = "gold-was-wrong"
TRUSTED, WELL_KNOWN = 0.8, 8
"""Whose misses speak against gold: trust, and gold answered."""
FEWEST, HALF = 4, 0.5
"""So many of them at least, and such a part of them missed it."""
REPORTS, OF_ALL = 2, 0.2
"""So many reports that it is broken at least, and such a part of all answers to it."""


async def pull(
    session: AsyncSession, task_id: UUID, *, reason: str, label: object | None, caller: Caller
) -> GoldRepair:
    """Pull gold, as an operator says.

    Args:
        label: What is right; without it, a reviewer decides.

    Raises:
        NotFound: No such task, or not theirs.
        NotGold: Its answer is not known, or it was pulled before.
        InvalidAnswer: The label does not fit the label schema or the tile.
    """
    task = await task_access.owned(session, task_id, caller=caller, right=Right.PROJECTS_WRITE)
    project = await session.get_one(Project, task.project_id)
    canonical = None
    if label is not None:
        questions = await questions_of(session, project, [task.id])
        canonical = kind_of(project.kind).validate(label, questions[task.id])
    repair = await pull_as(
        session, project.id, task_id, reason=reason, label=canonical, by=caller.person_id
    )
    if repair is None:
        raise NotGold("The answer to this task is not known, or it was pulled before.")
    return repair


async def pull_as(
    session: AsyncSession,
    project_id: UUID,
    task_id: UUID,
    *,
    reason: str,
    label: Mapping[str, Any] | None = None,
    by: UUID | None = None,
) -> GoldRepair | None:
    """Pull gold with all its views; none if there is nothing to pull any more."""
    project = (
        await session.scalars(db.locking(select(Project).where(Project.id == project_id)))
    ).one()
    named = await session.get(Gold, (project_id, task_id))
    if named is None:
        return None
    first_id = named.view_of or task_id
    family = (Gold.task_id == first_id) | (Gold.view_of == first_id)
    theirs = select(Task).join(
        Gold, (Gold.project_id == Task.project_id) & (Gold.task_id == Task.id)
    )
    theirs = theirs.where(Task.project_id == project_id, family).order_by(Task.id)
    tasks = (await session.scalars(db.locking(theirs, of=Task))).all()
    gold = await session.get_one(Gold, (project_id, first_id), populate_existing=True)
    if gold.retired_reason is Retired.WRONG:
        return None
    await queue.withdraw(session, project_id, [task.id for task in tasks])
    await gold_views.retire(session, tasks, Retired.WRONG)
    told = await _unscored(session, project_id, [task.id for task in tasks])
    await _ask(session, next(task for task in tasks if task.id == first_id), label)
    restored, paid = await _judge_anew(session, project, told)
    repair = GoldRepair(
        project_id=project_id,
        task_id=first_id,
        expected=gold.expected,
        reason=reason,
        decided_by=by,
        earners=len({each.earner_id for each in told}),
        restored=restored,
        answers_paid=paid,
    )
    session.add(repair)
    await session.flush()
    return repair


async def _unscored(
    session: AsyncSession, project_id: UUID, task_ids: Sequence[UUID]
) -> Sequence[Answer]:
    """All answers to it, which say nothing of anybody any more."""
    answers = select(Answer).where(Answer.project_id == project_id, Answer.task_id.in_(task_ids))
    told = (await session.scalars(db.locking(answers.order_by(Answer.lease_id)))).all()
    for each in told:
        each.score = None
    await session.flush()
    return told


async def _ask(session: AsyncSession, task: Task, label: Mapping[str, Any] | None) -> None:
    """It is a task like others now, to be decided by a reviewer, or decided."""
    task.is_gold, task.retired_at = False, None
    task.state, task.review_reason = TaskState.REVIEW, WRONG
    task.label = task.confidence = task.settled_at = task.settled_by = None
    await session.flush()
    if label is not None:
        await settle_by_hand(session, task, label=dict(label))


async def _judge_anew(
    session: AsyncSession, project: Project, told: Sequence[Answer]
) -> tuple[int, int]:
    """Returns how many may go on again, and how many answers are paid after all."""
    earner_ids = sorted({each.earner_id for each in told})
    if not earner_ids:
        return 0, 0
    lease_ids = {
        each.lease_id
        for each in told
        if each.verdict is Verdict.REJECTED or each.repair_until is not None
    }
    restored = 0
    for record in await judge.locked_records(session, project.id, earner_ids):
        standing = await pardons.standing_of(session, project.id, record.earner_id)
        was_stopped = standing is not None and standing.blocked_at is not None
        await pardons.judge_anew(session, project, record, rule=Rule.GOLD_WAS_WRONG)
        if was_stopped and standing is not None and standing.blocked_at is None:
            restored += 1
            lease_ids |= await decisions.followed_from_rules(session, project.id, record.earner_id)
    paid = await verdicts.pay_after_all(
        session,
        project.id,
        lease_ids,
        code=Rule.GOLD_WAS_WRONG,
        reason="A check task that you were judged by was wrong.",
    )
    return restored, paid


async def doubt(session: AsyncSession, project_id: UUID, task_ids: Collection[UUID]) -> None:
    """Have gold pulled that trusted people miss, or that many find broken."""
    rows = await session.execute(
        _TOLD,
        {
            "project_id": project_id,
            "task_ids": list(task_ids),
            "trusted": TRUSTED,
            "known": WELL_KNOWN,
        },
    )
    for task_id, answers, broken, by_trusted, missed in rows.all():
        is_missed = by_trusted >= FEWEST and missed >= HALF * by_trusted
        is_broken = broken >= REPORTS and broken >= OF_ALL * answers
        if is_missed or is_broken:
            payload = {
                "project_id": str(project_id),
                "task_id": str(task_id),
                "reason": "missed-by-trusted" if is_missed else "reported-as-broken",
            }
            await jobs.enqueue(session, "quality.pull_gold", payload=payload, key=str(task_id))


_TOLD = text(
    """
    SELECT answers.task_id, count(*) AS answers,
      count(*) FILTER (WHERE answers.outcome = 'broken') AS broken,
      count(*) FILTER (WHERE answers.outcome = 'answered' AND is_trusted) AS by_trusted,
      count(*) FILTER (WHERE answers.outcome = 'answered' AND is_trusted AND answers.score < 0.5)
        AS missed
    FROM answers LEFT JOIN LATERAL (
      SELECT alpha / (alpha + beta) >= :trusted AND seen >= :known AS is_trusted FROM trust
      WHERE trust.project_id = answers.project_id AND trust.earner_id = answers.earner_id
    ) AS earner ON true
    WHERE answers.project_id = :project_id AND answers.task_id = ANY(CAST(:task_ids AS uuid[]))
      AND answers.score IS NOT NULL
    GROUP BY answers.task_id
    """
)
