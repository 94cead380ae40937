"""Judging tasks again that look otherwise by an estimate of all answers.

What is settled by people may get another label, or be asked about again, or go to review. What was
accepted stays accepted and paid; nobody is paid twice.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queue, stages
from tessera.assignment.models import Task, TaskState
from tessera.assignment.questions import questions_of
from tessera.kinds import Objects, chained
from tessera.projects.models import Project, ProjectState
from tessera.quality import settle
from tessera.quality.case import Case, answers_to, case_of
from tessera.quality.estimating import DOUBT


async def reconsider(session: AsyncSession, *, project_id: UUID, task_ids: Sequence[UUID]) -> None:
    """Judge tasks by what is known of the crowd now; may run any number of times."""
    tasks = await settle.locked(session, project_id, task_ids)
    project = await session.get_one(Project, project_id)
    underway = await queue.underway(session, project_id, [task.id for task in tasks])
    answers = await answers_to(session, project_id, [task.id for task in tasks])
    questions = await questions_of(session, project, task_ids)
    case = await case_of(session, project, questions, answers, underway)
    if case.belief is None and not isinstance(case.kind, Objects):
        return
    # what was passed on to a later stage is judged there; and nobody is asked any more
    over = project.state is ProjectState.COMPLETED or await stages.is_followed(session, project.id)
    settled_now = [task for task in tasks if await _again(session, case, task, over=over)]
    await stages.changed(session, project, settled_now)


async def _again(session: AsyncSession, case: Case, task: Task, *, over: bool) -> bool:
    """Judge one task; returns whether it is settled now and was not before, or is found wrong."""
    settled = task.state is TaskState.SETTLED and task.settled_by == settle.CONSENSUS
    waits = task.state is TaskState.OPEN or task.review_reason == settle.NO_AGREEMENT
    opinions = settle.opinions_of(case, task)
    if len(opinions) < case.policy.min_overlap or not (waits or (settled and not over)):
        return False
    risk = (1 - case.target) * (DOUBT if settled else 1)
    outcome = await settle.outcome_of(
        case, task, opinions, target_confidence=max(1 - risk, 0.0), asked=False
    )
    is_wrong = chained.found_wrong(case.project.kind, outcome.label) is not None
    if outcome.decided and (waits or is_wrong):
        await settle.settle_task(
            session,
            case,
            task,
            outcome.label,
            confidence=outcome.confidence,
            by=settle.CONSENSUS,
        )
        return True
    if settled:
        task.label, task.confidence = outcome.label, outcome.confidence
        if not outcome.decided:
            await _doubt(session, case, task)
    return False


async def _doubt(session: AsyncSession, case: Case, task: Task) -> None:
    """Ask one more person about what was settled; if nobody is left to ask, a reviewer."""
    task.state, task.doubted_at = TaskState.OPEN, func.now()
    task.settled_at = task.settled_by = None
    await session.flush()
    opinions = settle.opinions_of(case, task)
    more = int(len(opinions) < case.policy.max_overlap)
    underway = case.underway[task.id]
    hard = settle.hard_of(case, opinions, task.confidence or 0)
    await settle.ask_again(session, case, task, more, underway, settle.NO_AGREEMENT, hard)
