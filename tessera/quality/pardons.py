"""Judging an earner anew, where what was found of them was wrong, or a person decides otherwise.

Locks: trust, then the standing, as settling takes them.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment.models import Answer, Lease, Outcome, Standing
from tessera.decisions.models import Rule
from tessera.kernel import db
from tessera.projects.models import Project
from tessera.quality import judge
from tessera.quality.models import Gold, TrustRecord
from tessera.quality.trust import NEWCOMER, Trust
from tessera.truth.response import Step


async def forgive(
    session: AsyncSession, project: Project, earner_id: UUID, *, also_a_person: bool
) -> None:
    """Give somebody tasks again whom a rule has stopped; trust begins anew.

    Args:
        also_a_person: Also if a person has stopped them.
    """
    record = await _locked(session, project, earner_id)
    standing = await standing_of(session, project.id, earner_id)
    if standing is not None and (also_a_person or standing.stopped_by is None):
        standing.blocked_at = standing.reason = standing.stopped_by = None
        standing.step, standing.next_lease_at = Step.NONE, None
    record.forgiven_at = func.now()
    await _trust(session, project, record, NEWCOMER)


async def unsuspect(session: AsyncSession, project: Project, earner_id: UUID) -> None:
    """Neither slow somebody down any more, nor compare more of what they say."""
    record = await _locked(session, project, earner_id)
    await take_step(session, project, record, Step.NONE)


async def take_step(
    session: AsyncSession, project: Project, record: TrustRecord, step: Step
) -> None:
    """Have what follows from how somebody answers begin, or end; their record is locked."""
    standing = await standing_of(session, project.id, record.earner_id)
    if standing is not None:
        standing.step = step
        if step < Step.SLOWER:
            standing.next_lease_at = None
        await session.flush()
        await judge.rate(session, project, record, may_unblock=False)


async def pardon(
    session: AsyncSession, project: Project, earner_id: UUID, lease_ids: Sequence[UUID]
) -> None:
    """Count answers to gold as right that were found wrong, and judge their earner by that."""
    record = await _locked(session, project, earner_id)
    to_gold = update(Answer).where(
        Answer.project_id == project.id,
        Answer.lease_id.in_(lease_ids),
        Answer.score.is_not(None),
    )
    await session.execute(to_gold.values(score=1.0).execution_options(synchronize_session=False))
    await judge_anew(session, project, record)


async def judge_anew(
    session: AsyncSession,
    project: Project,
    record: TrustRecord,
    *,
    rule: Rule = Rule.CONTEST_UPHELD,
) -> None:
    """Have trust follow from all scores as they are now; the record is locked."""
    # by the lease of each gold task, which is unique: a project may have millions of answers
    scored = (
        select(Answer.score, Answer.outcome == Outcome.ANSWERED)
        .select_from(Gold)
        .join(
            Lease,
            (Lease.project_id == Gold.project_id)
            & (Lease.task_id == Gold.task_id)
            & (Lease.earner_id == record.earner_id),
        )
        .join(Answer, (Answer.project_id == Lease.project_id) & (Answer.lease_id == Lease.id))
        .where(Gold.project_id == project.id, Answer.score.is_not(None))
        .order_by(Answer.answered_at, Answer.lease_id)
    )
    if record.forgiven_at is not None:
        scored = scored.where(Answer.answered_at > record.forgiven_at)
    trust = NEWCOMER
    for score, said in (await session.execute(scored)).all():
        trust = trust.updated(score or 0.0, said=said)
    await _trust(session, project, record, trust, rule=rule)


async def _trust(
    session: AsyncSession,
    project: Project,
    record: TrustRecord,
    trust: Trust,
    *,
    rule: Rule = Rule.CONTEST_UPHELD,
) -> None:
    record.alpha, record.beta = trust.alpha, trust.beta
    record.seen, record.missed, record.unsure = trust.seen, trust.missed, trust.unsure
    record.told_mean, record.told_at = trust.mean, func.now()
    await session.flush()
    await session.refresh(record)
    await judge.rate(session, project, record, may_unblock=True, rule=rule)


async def _locked(session: AsyncSession, project: Project, earner_id: UUID) -> TrustRecord:
    """Also reads the policy under the lock: of one that was edited meanwhile, the new one holds."""
    (record,) = await judge.locked_records(session, project.id, [earner_id])
    await session.refresh(project, ["quality", "policy_version"])
    return record


async def standing_of(session: AsyncSession, project_id: UUID, earner_id: UUID) -> Standing | None:
    """Of one earner, locked."""
    theirs = select(Standing).where(
        Standing.project_id == project_id, Standing.earner_id == earner_id
    )
    found: Standing | None = await session.scalar(db.locking(theirs))
    return found
