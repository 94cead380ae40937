"""The people of a project, as its operator sees them, and what a person decides about one."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.assignment.models import Standing
from tessera.conduct import watching
from tessera.conduct.models import Suspicion
from tessera.decisions import service as decisions
from tessera.decisions.models import Effect, Rule
from tessera.kernel.errors import Forbidden, NotFound
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality import judge, pardons
from tessera.quality.models import TrustRecord
from tessera.truth.response import Step


class Outcome(StrEnum):
    STOP = "stop"
    GO_ON = "go_on"


@dataclass(frozen=True)
class Member:
    """One earner in one project."""

    standing: Standing
    trust: TrustRecord | None
    suspicion: Suspicion | None


async def members(
    session: AsyncSession,
    project_id: UUID,
    *,
    caller: Caller,
    only_cases: bool,
    after: UUID | None,
    limit: int,
) -> Sequence[Member]:
    """Who works on a project.

    Args:
        only_cases: Only those whose answers are so unusual that a person must look, and has not.
    """
    await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    theirs = (
        select(Standing, TrustRecord, Suspicion)
        .outerjoin(
            TrustRecord,
            (TrustRecord.project_id == Standing.project_id)
            & (TrustRecord.earner_id == Standing.earner_id),
        )
        .outerjoin(
            Suspicion,
            (Suspicion.project_id == Standing.project_id)
            & (Suspicion.earner_id == Standing.earner_id),
        )
        .where(Standing.project_id == project_id)
    )
    if only_cases:
        theirs = theirs.where(
            Suspicion.step == Step.REVIEW,
            Suspicion.looked_at.is_(None),
            Standing.blocked_at.is_(None),
        )
    if after is not None:
        theirs = theirs.where(Standing.earner_id > after)
    rows = await session.execute(theirs.order_by(Standing.earner_id).limit(limit))
    return [Member(*row) for row in rows]


async def decide(
    session: AsyncSession,
    project_id: UUID,
    earner_id: UUID,
    *,
    outcome: Outcome,
    reason: str,
    caller: Caller,
) -> Member:
    """Stop an earner, or let them go on. What they have earned stays theirs either way.

    Raises:
        NotFound: No such project, or the earner has not worked on it.
        Forbidden: The role does not include this; or it is a program that asks.
    """
    project = await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    if caller.key_id is not None:
        raise Forbidden("Only a person decides about a person.")
    (record,) = await _record(session, project, earner_id)
    # under the lock: it may have been edited meanwhile, and everybody rated again
    await session.refresh(project, ["quality", "policy_version"])
    standing = await pardons.standing_of(session, project_id, earner_id)
    if standing is None:
        raise NotFound("There is no such earner in this project.")
    if outcome is Outcome.STOP:
        effect = Effect.STOPPED
        await judge.stop(session, standing, reason=reason, by=caller.person_id)
    else:
        effect = Effect.RESTORED
        if standing.blocked_at is None:
            await pardons.unsuspect(session, project, earner_id)
        else:
            await pardons.forgive(session, project, earner_id, also_a_person=True)
    suspicion = await watching.looked(session, project_id, earner_id, by=caller.person_id)
    await decisions.note(
        session,
        [
            {
                "project_id": project_id,
                "earner_id": earner_id,
                "effect": effect,
                "rule": Rule.BY_A_PERSON,
                "reason": reason,
                "numbers": {},
                "window_from": project.launched_at,
                "policy_version": project.policy_version,
                "decided_by": caller.person_id,
            }
        ],
    )
    await session.flush()
    for each in (standing, record, suspicion):
        if each is not None:
            await session.refresh(each)
    return Member(standing, record, suspicion)


async def _record(
    session: AsyncSession, project: Project, earner_id: UUID
) -> Sequence[TrustRecord]:
    known = select(Standing.earner_id).where(
        Standing.project_id == project.id, Standing.earner_id == earner_id
    )
    if await session.scalar(known) is None:
        raise NotFound("There is no such earner in this project.")
    return await judge.locked_records(session, project.id, [earner_id])
