"""Second opinions: another reviewer is asked, who does not see what the first one said.

They tell how far reviewers agree and decide nothing. Where two differ, a third may decide again.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment.models import Task, TaskState
from tessera.assignment.questions import questions_of
from tessera.assignment.stages import is_followed
from tessera.kernel import db
from tessera.kernel.paging import After
from tessera.kinds import kind_of
from tessera.projects import service as projects
from tessera.quality import reviews
from tessera.quality.errors import NotWanted, SameReviewer
from tessera.quality.review_models import Review, ReviewPurpose, Second

BY_REVIEW = "review"
"""Who settled a task that a reviewer has decided."""


async def next_wanted(session: AsyncSession, project_id: UUID, *, caller: Caller) -> Task | None:
    """A task of which the caller's opinion is wanted: one that another reviewer has decided.

    Uses ix_reviews_wanted.
    """
    await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    others = (
        _as_decided(project_id, Review.second == Second.WANTED)
        .where(Review.reviewer_id != caller.person_id)
        .order_by(Review.created_at, Review.id)
        .limit(1)
    )
    found: Task | None = await session.scalar(others.with_only_columns(Task))
    return found


async def say(
    session: AsyncSession, project_id: UUID, task_id: UUID, *, label: object | None, caller: Caller
) -> Review:
    """Note what a second reviewer says, and whether the two differ; nothing else changes.

    Raises:
        NotWanted: Nobody else is asked about this task, or somebody was faster.
        SameReviewer: The caller has decided it.
        InvalidAnswer: The label does not fit the label schema or the tile.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    wanted = _as_decided(project_id, Review.second == Second.WANTED, Review.task_id == task_id)
    first = await session.scalar(db.locking(wanted.with_only_columns(Review), of=Review))
    if first is None:
        raise NotWanted("No second opinion of this task is wanted.")
    if first.reviewer_id == caller.person_id:
        raise SameReviewer("You have decided this task yourself.")
    question = (await questions_of(session, project, [task_id]))[task_id]
    said = None if label is None else kind_of(project.kind).validate(label, question)
    score = await reviews.likeness(project, question, said=first.label, truth=said)
    alike = score >= reviews.right_from(project)
    first.second = Second.AGREES if alike else Second.DIFFERS
    return await reviews.note(
        session,
        project,
        task_id,
        reviewer_id=caller.person_id,
        purpose=ReviewPurpose.SECOND,
        label=said,
        compared=first.label,
        score=score,
        first=first,
    )


async def differing(session: AsyncSession, task: Task) -> Review | None:
    """The decision on a task that another reviewer sees differently, if it can be decided again.

    Not where it cannot be taken back: it was passed on to a later stage, or is gold.
    """
    if task.state is not TaskState.SETTLED or task.is_gold:
        return None
    theirs = _as_decided(
        task.project_id, Review.second == Second.DIFFERS, Review.task_id == task.id
    )
    found: Review | None = await session.scalar(theirs.with_only_columns(Review))
    return None if found is None or await is_followed(session, task.project_id) else found


async def close(session: AsyncSession, first: Review, *, reviewer_id: UUID) -> None:
    """A third reviewer decides. The caller holds the task's lock.

    Raises:
        SameReviewer: It is one of the two.
    """
    said = select(Review.reviewer_id).where(
        Review.project_id == first.project_id,
        Review.task_id == first.task_id,
        Review.created_at >= first.created_at,
    )
    if reviewer_id in (await session.scalars(said)).all():
        raise SameReviewer("Two reviewers differ, and you are one of them: a third decides.")
    await session.execute(
        update(Review)
        .where(Review.project_id == first.project_id, Review.id == first.id)
        .values(second=Second.DECIDED)
    )


async def listed(
    session: AsyncSession,
    project_id: UUID,
    *,
    second: Second | None,
    caller: Caller,
    after: After | None,
    limit: int,
) -> Sequence[Review]:
    """What reviewers said, newest first. Uses ix_reviews_page, or those of its parts."""
    await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    theirs = select(Review).where(Review.project_id == project_id)
    if second is not None:
        theirs = theirs.where(Review.second == second)
    if after is not None:
        theirs = theirs.where(tuple_(Review.created_at, Review.id) < after)
    newest = theirs.order_by(Review.created_at.desc(), Review.id.desc()).limit(limit)
    return (await session.scalars(newest)).all()


def _as_decided(project_id: UUID, *which: ColumnElement[bool]) -> Select[Review]:
    """Decisions that still stand: nothing was asked anew since, and nobody decided again."""
    return (
        select(Review)
        .join(Task, (Task.project_id == Review.project_id) & (Task.id == Review.task_id))
        .where(
            Review.project_id == project_id,
            Review.purpose == ReviewPurpose.QUEUE,
            Task.state == TaskState.SETTLED,
            Task.settled_by == BY_REVIEW,
            Task.settled_at == Review.created_at,
            *which,
        )
    )
