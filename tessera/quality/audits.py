"""Audits: how many of the labels that people's answers came to are right, by looking at a few.

What is judged is each label as it stood when the sample was drawn, whatever became of its task
since: if those that were asked anew were left out, the sample would be none.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment.models import Task, TaskState
from tessera.assignment.questions import questions_of
from tessera.assignment.stages import is_followed
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.kernel.paging import After
from tessera.kinds import kind_of
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality import reviews
from tessera.quality.errors import AlreadyAudited, SampleTooLarge
from tessera.quality.review_models import Audit, AuditTask, ReviewPurpose
from tessera.quality.settle import CONSENSUS, settle_by_hand
from tessera.truth.audit import Sampled

TIME_LIMIT = "1min"
"""For drawing: all labels of the project are looked at, which may be many millions."""
_SEED_BITS = 63
BY_CONSENSUS: ColumnElement[bool] = (
    (Task.state == TaskState.SETTLED) & (Task.settled_by == CONSENSUS) & ~Task.is_gold
)
"""What audits are about."""

_DRAW = text(
    f"""
    WITH population AS MATERIALIZED (
      SELECT id, sha256(int8send(:seed) || uuid_send(id)) AS draw FROM tasks
      WHERE project_id = :project_id AND state = 'settled' AND settled_by = '{CONSENSUS}'
        AND NOT is_gold AND label IS NOT NULL
    ), counted AS (
      SELECT count(*) AS population FROM population
    ), audit AS (
      INSERT INTO audits (project_id, created_by, seed, population, size, right_from, quality)
      SELECT :project_id, CAST(:created_by AS uuid), :seed, population, :size,
             CAST(:right_from AS float8), CAST(:quality AS jsonb)
      FROM counted WHERE population >= :size
      RETURNING id
    ), drawn AS (
      SELECT id, row_number() OVER (ORDER BY draw, id) AS number FROM (
        SELECT id, draw FROM population ORDER BY draw, id LIMIT :size
      ) AS least
    ), taken AS (
      INSERT INTO audit_tasks
        (audit_id, number, project_id, task_id, label, subject, confidence)
      SELECT audit.id, drawn.number, tasks.project_id, tasks.id, label, subject, confidence
      FROM audit, drawn JOIN tasks ON tasks.project_id = :project_id AND tasks.id = drawn.id
    )
    SELECT population, (SELECT id FROM audit) AS id FROM counted
    """  # noqa: S608 - made of constants
)


async def draw(
    session: AsyncSession, project_id: UUID, *, size: int, right_from: float | None, caller: Caller
) -> Audit:
    """Draw a sample of the labels that are settled by consensus now.

    In one statement, so that what is drawn, and of how many, is of one moment.

    Raises:
        SampleTooLarge: There are not so many.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    await session.execute(
        text("SELECT set_config('statement_timeout', :limit, true)"), {"limit": TIME_LIMIT}
    )
    drawn = await session.execute(
        _DRAW,
        {
            "project_id": project.id,
            "created_by": caller.person_id,
            "seed": secrets.randbits(_SEED_BITS),
            "size": size,
            "right_from": reviews.right_from(project) if right_from is None else right_from,
            "quality": orjson.dumps(project.quality).decode(),
        },
    )
    population, audit_id = drawn.one()
    if audit_id is None:
        raise SampleTooLarge(
            f"Of {population:,} labels that answers came to, no {size:,} can be drawn.",
            count=population,
        )
    return await session.get_one(Audit, audit_id)


async def owned(
    session: AsyncSession, project_id: UUID, audit_id: UUID, *, caller: Caller
) -> Audit:
    await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    one = select(Audit).where(Audit.project_id == project_id, Audit.id == audit_id)
    audit: Audit | None = await session.scalar(one)
    if audit is None:
        raise NotFound("There is no such thing here.")
    return audit


async def listed(
    session: AsyncSession, project_id: UUID, *, caller: Caller, after: After | None, limit: int
) -> Sequence[Audit]:
    """Newest first. Uses ix_audits_page."""
    await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    theirs = select(Audit).where(Audit.project_id == project_id)
    if after is not None:
        theirs = theirs.where(tuple_(Audit.created_at, Audit.id) < after)
    newest = theirs.order_by(Audit.created_at.desc(), Audit.id.desc()).limit(limit)
    return (await session.scalars(newest)).all()


async def done(session: AsyncSession, audits: Sequence[Audit]) -> dict[UUID, int]:
    """Of each audit, how many of its tasks were looked at."""
    looked_at = (
        select(AuditTask.audit_id, func.count())
        .where(
            AuditTask.audit_id.in_([each.id for each in audits]), AuditTask.is_right.is_not(None)
        )
        .group_by(AuditTask.audit_id)
    )
    found: dict[UUID, int] = dict((await session.execute(looked_at)).all())
    return {each.id: found.get(each.id, 0) for each in audits}


async def entries(
    session: AsyncSession, audit: Audit, *, after: int, limit: int
) -> Sequence[AuditTask]:
    """What was looked at, in the order of the draw."""
    looked_at = select(AuditTask).where(
        AuditTask.audit_id == audit.id, AuditTask.number > after, AuditTask.is_right.is_not(None)
    )
    return (await session.scalars(looked_at.order_by(AuditTask.number).limit(limit))).all()


async def next_of(session: AsyncSession, audit: Audit, *, caller: Caller) -> AuditTask | None:
    """One that nobody has looked at; reviewers have orders of their own, so two seldom meet."""
    order = func.md5(func.concat(AuditTask.number, ":", str(caller.person_id)))
    left = select(AuditTask).where(AuditTask.audit_id == audit.id, AuditTask.is_right.is_(None))
    found: AuditTask | None = await session.scalar(left.order_by(order).limit(1))
    return found


async def judge(
    session: AsyncSession,
    project_id: UUID,
    audit_id: UUID,
    task_id: UUID,
    *,
    label: object | None,
    caller: Caller,
) -> AuditTask:
    """Compare a reviewer's label with the one that was drawn, and correct that if it is wrong.

    What was paid stays paid. Locks: the audit, then the task.

    Args:
        label: None if the tile cannot be labelled: then any label of it is wrong.

    Raises:
        AlreadyAudited: Somebody has looked at it.
        InvalidAnswer: The label does not fit the label schema or the tile.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    this = select(Audit).where(Audit.project_id == project_id, Audit.id == audit_id)
    audit = await session.scalar(db.locking(this))
    of_audit = select(AuditTask).where(
        AuditTask.audit_id == audit_id,
        AuditTask.project_id == project_id,
        AuditTask.task_id == task_id,
    )
    entry = await session.scalar(db.locking(of_audit))
    if audit is None or entry is None:
        raise NotFound("There is no such thing here.")
    if entry.is_right is not None:
        raise AlreadyAudited("A reviewer has looked at this task for this audit.")
    one = select(Task).where(Task.project_id == project_id, Task.id == task_id)
    task = (await session.scalars(db.locking(one))).one()
    asked = (await questions_of(session, project, [task_id]))[task_id]
    question = replace(asked, subject=entry.subject)  # it may be about something else by now
    said = None if label is None else kind_of(project.kind).validate(label, question)
    score = await reviews.likeness(project, question, said=entry.label, truth=said)
    review = await reviews.note(
        session,
        project,
        task_id,
        reviewer_id=caller.person_id,
        purpose=ReviewPurpose.AUDIT,
        label=said,
        compared=entry.label,
        score=score,
    )
    entry.is_right, entry.review_id = score >= audit.right_from, review.id
    if not entry.is_right and await _is_wrong_now(session, project, task, entry):
        now = await reviews.likeness(project, question, said=task.label, truth=said)
        if now < audit.right_from:
            entry.is_corrected = True
            await settle_by_hand(session, task, label=said)
    await session.flush()
    if (await done(session, [audit]))[audit.id] == audit.size:
        audit.finished_at = func.now()
    await session.flush()
    return entry


async def _is_wrong_now(
    session: AsyncSession, project: Project, task: Task, entry: AuditTask
) -> bool:
    """Whether the label that was drawn still stands, and nothing was made of it since."""
    stands = task.state is TaskState.SETTLED and task.settled_by == CONSENSUS
    same = stands and not task.is_gold and task.subject == entry.subject
    return same and not await is_followed(session, project.id)


async def found(session: AsyncSession, audit: Audit) -> Sampled:
    """What a finished audit has found."""
    right = select(func.count()).where(AuditTask.audit_id == audit.id, AuditTask.is_right.is_(True))
    return Sampled(await session.scalar(right) or 0, audit.size, audit.population)


@dataclass(frozen=True)
class Covered:
    """Labels that there are some time after an audit, as far as it tells of them."""

    sample: Sampled
    """Of those that were there when it was drawn, and still are, or were corrected."""
    corrected: int
    later: int
    """Settled since."""


async def latest(session: AsyncSession, project_id: UUID) -> Audit | None:
    """The last one drawn of those that are finished. Uses ix_audits_page."""
    finished = select(Audit).where(Audit.project_id == project_id, Audit.finished_at.is_not(None))
    newest = finished.order_by(Audit.created_at.desc(), Audit.id.desc()).limit(1)
    found: Audit | None = await session.scalar(newest)
    return found


async def covered(session: AsyncSession, audit: Audit) -> Covered:
    """Of all labels of the project."""
    before = Task.settled_at <= audit.created_at
    counts = select(func.count().filter(before), func.count().filter(~before)).where(
        Task.project_id == audit.project_id, BY_CONSENSUS
    )
    still, later = (await session.execute(counts)).one()
    here = AuditTask.is_corrected | (BY_CONSENSUS & before)
    sampled = (
        select(
            func.count().filter(here),
            func.count().filter(here & AuditTask.is_right.is_(True)),
            func.count().filter(AuditTask.is_corrected),
        )
        .join(Task, (Task.project_id == audit.project_id) & (Task.id == AuditTask.task_id))
        .where(AuditTask.audit_id == audit.id)
    )
    size, right, corrected = (await session.execute(sampled)).one()
    return Covered(Sampled(right, size, still + corrected), corrected, later)
