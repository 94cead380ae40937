"""The people of a project from its operator's side, and the contests of what was decided."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import StringConstraints

from api import problems
from api.deps import After, Caller, Limit, Read, Write
from api.idempotency import Route
from api.schemas import In, Out, PageOut
from tessera.accounts.roles import Caller as CallerIs
from tessera.conduct import contests, people
from tessera.conduct.people import Member, Outcome
from tessera.decisions.errors import NotContested
from tessera.decisions.models import ContestState, Decision, Effect, Rule
from tessera.kernel import paging
from tessera.kernel.errors import Forbidden, NotFound
from tessera.projects import service as projects
from tessera.projects.policies import Quality
from tessera.truth.response import Step

router = APIRouter(tags=["people"], route_class=Route)

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


class MemberOut(Out):
    earner_id: UUID
    trust: float | None
    """How probably their next answer is right; null before they have answered any gold."""
    gold_answered: int
    gold_missed: int
    blocked_at: datetime | None
    blocked_reason: str | None
    stopped_by: UUID | None
    """A person; null: the rule."""
    step: int
    """What follows from how they answer: 0 nothing, 1 more gold, 2 slower, 3 a person must look."""
    signals: list[str]
    strengths: list[float]
    """Of each signal, in powers of ten."""
    evidence: list[str]
    """As they read it."""
    looked_at: datetime | None


class PersonsDecision(In):
    outcome: Outcome
    reason: Reason
    """They read it."""


class ContestOut(Out):
    id: UUID
    project_id: UUID
    earner_id: UUID
    effect: Effect
    rule: Rule
    reason: str
    numbers: dict[str, Any]
    policy_version: int
    lease_id: UUID | None
    decided_by: UUID | None
    created_at: datetime
    contested_at: datetime | None
    contest: str | None
    due_at: datetime | None
    contest_state: ContestState | None
    resolved_at: datetime | None
    resolved_by: UUID | None
    answer: str | None


class ContestAnswer(In):
    upheld: bool
    """Whether the earner is right: then what was decided is undone, and paid."""
    answer: Reason
    """They read it."""


class PolicyOut(Out):
    version: int
    quality: Quality
    created_by: UUID | None
    created_at: datetime


class PoliciesOut(Out):
    items: list[PolicyOut]
    next: int | None


@router.get("/projects/{project_id}/earners", responses=problems.documented(NotFound, Forbidden))
async def list_earners(
    project_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 50,
    cursor: Annotated[UUID | None, Query()] = None,
) -> PageOut[MemberOut]:
    """Who works on a project, and what is known of how they answer."""
    return await _page(session, project_id, caller, cursor, limit, only_cases=False)


@router.get("/projects/{project_id}/cases", responses=problems.documented(NotFound, Forbidden))
async def list_cases(
    project_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 50,
    cursor: Annotated[UUID | None, Query()] = None,
) -> PageOut[MemberOut]:
    """Earners whose answers are so unusual that a person must look, and has not."""
    return await _page(session, project_id, caller, cursor, limit, only_cases=True)


async def _page(
    session: Read,
    project_id: UUID,
    caller: CallerIs,
    cursor: UUID | None,
    limit: int,
    *,
    only_cases: bool,
) -> PageOut[MemberOut]:
    found = await people.members(
        session, project_id, caller=caller, only_cases=only_cases, after=cursor, limit=limit
    )
    last = str(found[-1].standing.earner_id) if len(found) == limit else None
    return PageOut(items=[_member(each) for each in found], next=last)


@router.post(
    "/projects/{project_id}/earners/{earner_id}/decision",
    responses=problems.documented(NotFound, Forbidden),
)
async def decide(
    project_id: UUID, earner_id: UUID, body: PersonsDecision, session: Write, caller: Caller
) -> MemberOut:
    """Stop an earner in this project, or let them go on. What they have earned stays theirs."""
    member = await people.decide(
        session, project_id, earner_id, outcome=body.outcome, reason=body.reason, caller=caller
    )
    return _member(member)


@router.get("/projects/{project_id}/contests", responses=problems.documented(NotFound, Forbidden))
async def list_contests(
    project_id: UUID, session: Read, caller: Caller, after: After, limit: Limit = 50
) -> PageOut[ContestOut]:
    """Contests that wait for an answer, the most urgent first."""
    found = await contests.waiting(session, project_id, caller=caller, after=after, limit=limit)
    last = found[-1] if len(found) == limit else None
    return PageOut(
        items=[ContestOut.model_validate(each) for each in found],
        next=paging.encode((last.due_at, last.id)) if last and last.due_at else None,
    )


@router.post(
    "/contests/{decision_id}",
    response_model=ContestOut,
    responses=problems.documented(NotFound, Forbidden, NotContested),
)
async def answer_contest(
    decision_id: UUID, body: ContestAnswer, session: Write, caller: Caller
) -> Decision:
    """Answer a contest. If it is upheld, what followed is undone and the answers are paid."""
    return await contests.resolve(
        session, decision_id, upheld=body.upheld, answer=body.answer, caller=caller
    )


@router.get("/projects/{project_id}/policies", responses=problems.documented(NotFound))
async def list_policies(
    project_id: UUID,
    session: Read,
    caller: Caller,
    limit: Limit = 50,
    cursor: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> PoliciesOut:
    """The quality policies that a project has had, newest first: receipts name their version."""
    found = await projects.versions(session, project_id, caller=caller, after=cursor, limit=limit)
    return PoliciesOut(
        items=[PolicyOut.model_validate(each) for each in found],
        next=found[-1].version if len(found) == limit else None,
    )


def _member(member: Member) -> MemberOut:
    standing, trust, suspicion = member.standing, member.trust, member.suspicion
    return MemberOut(
        earner_id=standing.earner_id,
        trust=round(trust.alpha / (trust.alpha + trust.beta), 4) if trust and trust.seen else None,
        gold_answered=0 if trust is None else trust.seen,
        gold_missed=0 if trust is None else trust.missed,
        blocked_at=standing.blocked_at,
        blocked_reason=standing.reason,
        stopped_by=standing.stopped_by,
        step=Step(standing.step),
        signals=[] if suspicion is None else suspicion.signals,
        strengths=[] if suspicion is None else suspicion.strengths,
        evidence=[] if suspicion is None else suspicion.evidence,
        looked_at=None if suspicion is None else suspicion.looked_at,
    )
