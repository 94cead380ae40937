"""Contests: what earners say to decisions, and what comes of it.

An answer is due in a stated time; who gets none is right. If a contest is upheld, what followed
from the decision is undone: access is given back, trust is judged anew, answers are paid.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.conduct import watching
from tessera.decisions import service as decisions
from tessera.decisions.errors import NotContested
from tessera.decisions.models import ContestState, Decision, Effect, Rule
from tessera.earnings import service as earnings
from tessera.earnings.models import Earning
from tessera.kernel import db
from tessera.kernel.errors import Forbidden, NotFound
from tessera.kernel.paging import After
from tessera.projects import service as projects
from tessera.projects.models import Project
from tessera.quality import pardons, verdicts

NOBODY = "Nobody answered in time."


async def contest(
    session: AsyncSession, decision_id: UUID, *, earner_id: UUID, every: timedelta, text: str
) -> Decision:
    """Contest a decision; the money it is about stays set aside until somebody has answered.

    Raises:
        NotFound: There is no such decision about this earner.
        NotContestable: It does the earner no harm, or is too old, or was contested before.
    """
    decision = await decisions.contest(
        session, decision_id, earner_id=earner_id, every=every, text=text
    )
    lease_ids = [each.lease_id for each in await _following(session, decision) if each.lease_id]
    await earnings.hold(session, _of_leases(decision.project_id, lease_ids))
    return decision


async def waiting(
    session: AsyncSession, project_id: UUID, *, caller: Caller, after: After | None, limit: int
) -> Sequence[Decision]:
    """Contests in a project that wait for an answer, the most urgent first."""
    await projects.owned(session, project_id, caller=caller, right=Right.REVIEW)
    contested = select(Decision).where(
        Decision.project_id == project_id,
        Decision.contested_at.is_not(None),
        Decision.resolved_at.is_(None),
    )
    if after is not None:
        contested = contested.where(tuple_(Decision.due_at, Decision.id) > after)
    return (
        await session.scalars(contested.order_by(Decision.due_at, Decision.id).limit(limit))
    ).all()


async def resolve(
    session: AsyncSession, decision_id: UUID, *, upheld: bool, answer: str, caller: Caller
) -> Decision:
    """Answer a contest.

    Raises:
        NotFound: No such decision, or not in a project of theirs.
        Forbidden: Theirs, but their role does not include this.
        NotContested: Nobody has contested it, or it has its answer.
    """
    one = select(Decision).where(Decision.id == decision_id)
    found: Decision | None = await session.scalar(one)
    if found is None:
        raise NotFound("There is no such thing here.")
    project = await projects.owned(session, found.project_id, caller=caller, right=Right.REVIEW)
    if caller.key_id is not None:
        raise Forbidden("Only a person decides about a person.")
    decision = (await session.scalars(db.locking(one))).one()
    if decision.contested_at is None or decision.resolved_at is not None:
        raise NotContested("No contest of this waits for an answer.", state=decision.contest_state)
    await _resolve(session, project, decision, upheld=upheld, answer=answer, by=caller.person_id)
    return decision


async def overdue(session: AsyncSession, *, limit: int) -> Sequence[UUID]:
    """Contests that nobody has answered in time, the oldest first."""
    due = select(Decision.id).where(
        Decision.contested_at.is_not(None),
        Decision.resolved_at.is_(None),
        Decision.due_at <= func.now(),
    )
    return (await session.scalars(due.order_by(Decision.due_at).limit(limit))).all()


async def uphold(session: AsyncSession, decision_id: UUID) -> None:
    """Uphold a contest that nobody has answered in time, unless somebody does so just now."""
    one = select(Decision).where(Decision.id == decision_id, Decision.resolved_at.is_(None))
    decision: Decision | None = await session.scalar(db.locking(one, skip_locked=True))
    if decision is not None:
        project = await session.get_one(Project, decision.project_id)
        await _resolve(session, project, decision, upheld=True, answer=NOBODY, by=None)


async def _resolve(
    session: AsyncSession,
    project: Project,
    decision: Decision,
    *,
    upheld: bool,
    answer: str,
    by: UUID | None,
) -> None:
    # or its money could be given back between our look and our word
    await session.execute(db.locking(select(Project.id).where(Project.id == project.id)))
    decision.resolved_at, decision.resolved_by = func.now(), by
    decision.upheld, decision.answer = upheld, answer
    await session.flush()
    await session.refresh(decision)
    following = await _following(session, decision)
    if upheld:
        await _undo(session, project, decision, following)
    else:
        await _let_go(session, project, decision, following)


async def _let_go(
    session: AsyncSession, project: Project, denied: Decision, following: Sequence[Decision]
) -> None:
    """Set no money aside any longer for what cannot be overturned any more."""
    if denied.because_id is not None:
        cause = await session.get_one(Decision, (project.id, denied.because_id))
        if cause.contest_state is ContestState.OPEN:
            return  # if that one is overturned, this one is
        if cause.contest_state is None:  # so too, if it is contested yet
            mine = _of_leases(project.id, [each.lease_id for each in following if each.lease_id])
            await earnings.let_go(session, mine, after=decisions.CONTESTABLE_FOR)
            return
    # an answer that was to be corrected and then was rejected has two
    rejected = [
        (each.lease_id, each.contest_state)
        for each in following
        if each.effect is Effect.REJECTED and each.lease_id is not None
    ]
    lost = [lease_id for lease_id, state in rejected if state is ContestState.DENIED]
    other = [lease_id for lease_id, state in rejected if state is None]
    await earnings.let_go(session, _of_leases(project.id, lost))
    await earnings.let_go(session, _of_leases(project.id, other), after=decisions.CONTESTABLE_FOR)


async def _undo(
    session: AsyncSession, project: Project, decision: Decision, following: Sequence[Decision]
) -> None:
    lease_ids = {each.lease_id for each in following if each.lease_id}
    if decision.effect is Effect.LOWERED:  # what stopped them then is gone
        lease_ids |= await decisions.followed_from_rules(session, project.id, decision.earner_id)
    for each in following:
        if each.contested_at is not None and each.resolved_at is None:
            each.resolved_at, each.upheld = decision.resolved_at, True
            each.answer = decision.answer
    # locks as everywhere: answers, trust, and then money
    await verdicts.lock_answers(session, project.id, lease_ids)
    if decision.effect is Effect.SLOWED:
        await pardons.unsuspect(session, project, decision.earner_id)
        await watching.looked(session, project.id, decision.earner_id, by=decision.resolved_by)
    elif decision.effect is Effect.REJECTED:
        await pardons.pardon(session, project, decision.earner_id, sorted(lease_ids))
    else:
        whoever = decision.rule is Rule.BY_A_PERSON
        await pardons.forgive(session, project, decision.earner_id, also_a_person=whoever)
        await watching.looked(session, project.id, decision.earner_id, by=decision.resolved_by)
    paid = await verdicts.pay_after_all(
        session,
        project.id,
        lease_ids,
        code=Rule.CONTEST_UPHELD,
        reason="You contested this, and were right.",
    )
    reason = "You contested a decision, and you were right."
    if decision.answer == NOBODY:
        reason = "You contested a decision, and nobody answered in time: so you are right."
    await decisions.note(
        session,
        [
            {
                "project_id": project.id,
                "earner_id": decision.earner_id,
                "effect": Effect.RESTORED,
                "rule": Rule.CONTEST_UPHELD,
                "reason": reason,
                "numbers": {"answers_paid": paid},
                "window_from": decision.window_from,
                "policy_version": project.policy_version,
                "because_id": decision.id,
                "decided_by": decision.resolved_by,
            }
        ],
    )


async def _following(session: AsyncSession, decision: Decision) -> Sequence[Decision]:
    """A decision, and what followed from it."""
    theirs = select(Decision).where(
        Decision.project_id == decision.project_id,
        or_(Decision.id == decision.id, Decision.because_id == decision.id),
    )
    return (await session.scalars(theirs.order_by(Decision.created_at, Decision.id))).all()


def _of_leases(project_id: UUID, lease_ids: Sequence[UUID]) -> ColumnElement[bool]:
    return (Earning.project_id == project_id) & Earning.lease_id.in_(lease_ids)
