"""Learning anew who draws how, from what people drew of the same tasks; see `kinds.beside`.

As `estimating` does for choices: it decides nothing itself, pays nobody and takes nothing back.
Tasks that look otherwise by what is known then are judged again (`reconsider`), one by one.
"""

import asyncio
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Task, TaskState
from tessera.kinds import Objects, Opinion, Tally
from tessera.projects.models import Project
from tessera.quality import settle
from tessera.quality.case import Case
from tessera.quality.drawn import added
from tessera.quality.estimating import DOUBT, NOTABLE
from tessera.quality.task_sample import LEAST, case_and_tasks

Beside = dict[UUID, list[float]]
"""What is told of earners; see `TrustRecord.others`."""


async def learn(
    session: AsyncSession, project: Project, task_ids: Sequence[UUID], beside: Beside
) -> None:
    """Add what the drawings of some tasks tell, of those that are decided."""
    case, tasks = await case_and_tasks(session, project, task_ids)
    some = [_opinions(case, task) for task in tasks if task.state is TaskState.SETTLED]
    told = await asyncio.to_thread(_told, case, [each for each in some if len(each[1]) >= LEAST])
    for earner, tally in told:
        beside[earner] = added(beside.get(earner), tally)


def _opinions(case: Case, task: Task) -> tuple[UUID, list[Opinion]]:
    return task.id, settle.opinions_of(case, task)


def _told(case: Case, some: Iterable[tuple[UUID, list[Opinion]]]) -> list[tuple[UUID, Tally]]:
    kind = case.kind
    assert isinstance(kind, Objects)  # noqa: S101 - of no other project is this asked
    return [
        (UUID(opinion.earner), tally)
        for task_id, opinions in some
        for opinion, tally in zip(
            opinions, kind.tallies(opinions, case.questions[task_id]), strict=True
        )
    ]


async def doubtful(
    session: AsyncSession, project: Project, task_ids: Sequence[UUID], *, settled_too: bool
) -> list[UUID]:
    """Of some tasks those to be judged again: sure by now, or settled and otherwise than thought.

    Args:
        settled_too: Else only those that are still asked about, or in review.
    """
    case, tasks = await case_and_tasks(session, project, task_ids)
    found = []
    for task in filter(_may_change, tasks):
        opinions = settle.opinions_of(case, task)
        is_settled = task.state is TaskState.SETTLED
        if len(opinions) < case.policy.min_overlap or (is_settled and not settled_too):
            continue
        outcome = await settle.outcome_of(
            case, task, opinions, target_confidence=case.target, asked=False
        )
        unsure = 1 - outcome.confidence > DOUBT * (1 - case.target)
        moved = abs(outcome.confidence - (task.confidence or 0)) > NOTABLE
        if (unsure or moved) if is_settled else outcome.decided:
            found.append(task.id)
    return found


def _may_change(task: Task) -> bool:
    """Whether it is for earners to say: not what a person has decided, or is asked for."""
    return (
        task.state is TaskState.OPEN
        or (task.state is TaskState.REVIEW and task.review_reason == settle.NO_AGREEMENT)
        or (task.state is TaskState.SETTLED and task.settled_by == settle.CONSENSUS)
    )
