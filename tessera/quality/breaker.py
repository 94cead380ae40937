"""The breaker: a task that several people find broken is taken out, and so is a project of such.

Whoever met it is paid: that a picture does not load, or a question does not fit it, is not their
fault.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Outcome, Task, TaskState, Verdict
from tessera.kernel import db, jobs
from tessera.projects.models import Project, ProjectState
from tessera.quality import verdicts

BROKEN = "broken"
MANY, OF_ALL = 10, 0.2
"""So many broken tasks that wait for a reviewer, and such a part of all that is decided, and nobody
is sent to the others before an operator has looked. What they had seen when they let the project go
on does not count again."""
REPORTERS = 3
"""So many people at least must have found them so: two may have a grudge."""
PAUSED = "broken-tasks"


async def tripped(session: AsyncSession, project: Project, answers: Sequence[Answer]) -> None:
    """Pay all who met a broken task, and have the project looked at; the task is locked."""
    waiting = [each for each in answers if each.verdict is Verdict.PENDING]
    await verdicts.accept(session, project.id, waiting)
    payload = {"project_id": str(project.id)}
    await jobs.enqueue(session, "quality.check_broken", payload=payload, key=str(project.id))


async def check(session: AsyncSession, project_id: UUID) -> None:
    """Pause a project of which too much is broken; its operator lets it go on."""
    since = await session.scalar(select(Project.resumed_at).where(Project.id == project_id))
    is_new = exists().where(
        Answer.project_id == project_id,
        Answer.task_id == Task.id,
        Answer.outcome == Outcome.BROKEN,
        Answer.answered_at > (since or db.EPOCH),
    )
    in_review = (
        select(Task.id)
        .where(
            Task.project_id == project_id,
            Task.state == TaskState.REVIEW,
            Task.review_reason == BROKEN,
            is_new,
        )
        .subquery()
    )
    broken = (await session.execute(select(func.count()).select_from(in_review))).scalar_one()
    if broken < MANY:
        return
    enough = int(broken / OF_ALL)
    settled = select(Task.id).where(
        Task.project_id == project_id,
        Task.state == TaskState.SETTLED,
        Task.settled_at > (since or db.EPOCH),
        ~Task.is_gold,
    )
    fine = (
        await session.execute(select(func.count()).select_from(settled.limit(enough).subquery()))
    ).scalar_one()
    reporters = await session.execute(
        select(func.count(Answer.earner_id.distinct())).where(
            Answer.project_id == project_id,
            Answer.task_id.in_(select(in_review.c.id)),
            Answer.outcome == Outcome.BROKEN,
        )
    )
    if broken < OF_ALL * (broken + fine) or reporters.scalar_one() < REPORTERS:
        return
    await session.execute(
        update(Project)
        .where(Project.id == project_id, Project.state == ProjectState.OPEN)
        .values(state=ProjectState.PAUSED, paused_reason=PAUSED)
        .execution_options(synchronize_session=False)
    )
